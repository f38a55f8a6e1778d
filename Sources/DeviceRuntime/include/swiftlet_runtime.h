/// The device runtime: runs a compiled language model, token by token.
///
/// Portable C99 without heap, files or threads; the same sources run in the host's simulator session
/// and on the microcontroller. The NPU is reached through one callback; what its jobs compute is defined
/// in Docs/Numerics.md, bit for bit.
#ifndef SWIFTLET_RUNTIME_H
#define SWIFTLET_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Version of the step encoding below. A program of another version is refused.
#define SWL_ABI_VERSION 6u

/// Memory regions. The numbers are the NPU's base-pointer indices.
enum swl_region {
  SWL_REGION_WEIGHTS = 0, ///< Encoded weight and scale streams, the embedding table: read-only (flash or MRAM).
  SWL_REGION_ARENA = 1,   ///< Activations of one step list, weight slices fetched by the NPU's DMA (SRAM).
  SWL_REGION_NEAR = 2,    ///< Weight and scale streams in the nearer of two memories: read-only; may be empty.
  SWL_REGION_STATE = 3,   ///< KV caches and the score mask; kept from token to token.
  SWL_REGION_PARAMS = 4,  ///< Norm weights, look-up and rotation tables: small, read often, read-only.
  SWL_REGION_COUNT = 5
};

/// Base pointers of a job beyond the regions' own.
enum swl_base {
  SWL_BASE_VALUES = 5,    ///< The caches' values of the position, in the state region.
  SWL_BASE_KEYS = 6,      ///< The caches' keys of the position, in the state region.
  SWL_BASE_EMBEDDING = 7, ///< The embedding table's row of the token.
  SWL_BASE_COUNT = 8
};

/// What the score mask holds for a position without a token.
#define SWL_MASKED INT16_MIN

/// A place in a region: bits 31..29 the region, bits 28..0 the byte offset.
typedef uint32_t swl_ref;

/// The region of a reference.
#define SWL_REF_REGION(ref) ((uint32_t)(ref) >> 29)
/// A reference from its parts.
#define SWL_MAKE_REF(region, offset) ((uint32_t)(region) << 29 | (uint32_t)(offset))
/// The byte offset of a reference.
#define SWL_REF_OFFSET(ref) ((uint32_t)(ref)&0x1FFFFFFFu)

/// What a step does. A step is `kernel | words << 8` (words counts this one too), then its parameters
/// in the order given here, one 32-bit word each. The NPU computes everything: there is one kind.
enum swl_kernel {
  SWL_KERNEL_NPU_JOB = 1 ///< job index
};

/// One NPU job: a driver payload (COP1), 16-byte aligned.
typedef struct swl_job {
  const void *payload;
  uint32_t bytes;
} swl_job;

/// A step list: what one call of an entry point does.
typedef struct swl_steps {
  const uint32_t *words;
  uint32_t count;  ///< 32-bit words
  uint32_t tokens; ///< tokens per call
} swl_steps;

/// How a base pointer follows the position `p` through the caches: it is `p / chunk * chunk_bytes`,
/// `q / period * period_bytes` with `q = p % chunk`, and `offsets[q % period]` bytes into the state region.
typedef struct swl_cache_place {
  uint32_t chunk;
  uint32_t chunk_bytes;
  uint32_t period;
  uint32_t period_bytes;
  const uint32_t *offsets;
  uint32_t offset_count; ///< no more than `period`
} swl_cache_place;

/// Bytes of the weights region that `swl_reset` copies to the state region, `count` times `bytes` bytes.
typedef struct swl_fill {
  uint32_t offset;        ///< of the first copy, in the state region
  uint32_t stride;        ///< from copy to copy
  uint32_t count;
  uint32_t source;        ///< in the weights region
  uint32_t source_stride; ///< from copy to copy; 0: all are the same
  uint32_t bytes;
} swl_fill;

/// A compiled model. Everything it points at is constant; emitted as C arrays by `swiftlet compile`.
typedef struct swl_program {
  uint32_t abi_version;
  uint32_t vocabulary;
  uint32_t context;               ///< most positions the KV cache holds
  swl_steps decode;               ///< one token in, logits out
  swl_steps prefill;              ///< `prefill.tokens` tokens in, KV cache out, no logits; 0 tokens: absent
  swl_steps prefill_near;         ///< the same for batches that end within the first `near_positions` positions;
                                  ///< 0 tokens: absent
  uint32_t near_positions;        ///< 0: absent
  const swl_job *jobs;
  uint32_t job_count;
  swl_ref logits;                 ///< int16 [vocabulary], valid after decode
  float logits_scale;             ///< real value of one logit step
  uint32_t mask;                  ///< offset of the score mask in the state region: int16 [context];
                                  ///< `prefill.tokens - 1` numbers before it belong to it
  uint32_t rotation;              ///< offset of the rotation table in the params region
  uint32_t rotation_row_bytes;    ///< a multiple of 16
  uint32_t rotation_place;        ///< offset in the state region where the positions' rows are copied
  swl_cache_place values;         ///< where SWL_BASE_VALUES is
  swl_cache_place keys;           ///< where SWL_BASE_KEYS is
  uint32_t selection_place;       ///< offset in the state region: int16 [10], a one among eight numbers for the
                                  ///< position modulo 8, and among two for it modulo 2
  uint32_t validity_place;        ///< offset in the state region: int16 [prefill.tokens], 1 for rows with a token
  const swl_fill *fills;          ///< what the state region starts with, but for zeros
  uint32_t fill_count;
  uint32_t embedding;             ///< offset of the embedding table in the weights region
  uint32_t embedding_row_bytes;   ///< a multiple of 16; 0: there is no table
  uint32_t multipliers;           ///< offset of the rows' multipliers in the weights region: int32 [vocabulary]
  uint32_t multiplier_place;      ///< offset in the state region where the tokens' are copied
  uint32_t embedding_place;       ///< offset in the state region where a batch's rows are copied
  uint32_t prefill_from;          ///< fewest tokens for which a batch is faster than decode
  uint32_t prefill_alignment;     ///< batches start at positions that are multiples of this power of two
  uint32_t prefix_tokens;         ///< tokens of a fixed beginning that the KV cache holds from the start
  uint32_t region_bytes[SWL_REGION_COUNT];
  int32_t bos;                    ///< id put before a prompt, or -1
  int32_t eos;                    ///< id that ends a text, or -1
} swl_program;

/// What can go wrong. Zero is success.
typedef enum swl_status {
  SWL_OK = 0,
  SWL_ERROR_ABI = -1,          ///< the program was made for another runtime version
  SWL_ERROR_PROGRAM = -2,      ///< a step is malformed or reaches outside its region
  SWL_ERROR_TOKEN = -3,        ///< a token id is outside the vocabulary
  SWL_ERROR_CONTEXT_FULL = -4, ///< no position is left in the KV cache
  SWL_ERROR_NPU = -5,          ///< the NPU callback failed, now or since the last reset
  SWL_ERROR_ARGUMENT = -6      ///< a null pointer, an empty prompt, a buffer too small or misaligned
} swl_status;

struct swl_context;

/// Runs one NPU job to its end. Returns 0 when it succeeded. `swl_base_pointers` tells the base pointers;
/// the NPU writes arena and state.
typedef int (*swl_npu_run)(struct swl_context *context, const swl_job *job);

/// A running model.
typedef struct swl_context {
  const swl_program *program;
  uint8_t *base[SWL_REGION_COUNT]; ///< 16-byte aligned; regions 0, 2 and 4 are only read
  uint32_t position;               ///< the next token's position: how many are in the KV cache
  int32_t token;                   ///< the token of the job at hand
  swl_npu_run npu;
  void *user;                      ///< free for the callback
  uint32_t last_step;              ///< word index of the step that ran last, for error reports
  int failed;                      ///< a job failed: the caches may hold half a token until `swl_reset`
} swl_context;

/// The base pointers of a job at the context's position.
void swl_base_pointers(const swl_context *context, uint8_t *base[SWL_BASE_COUNT]);

/// Checks every step of the program against the region sizes, so that later calls cannot read or
/// write outside. Call once for a program that does not come from your own flash image.
swl_status swl_program_check(const swl_program *program);

/// Prepares a context: checks version and pointers, empties the KV cache.
swl_status swl_open(swl_context *context, const swl_program *program, uint8_t *const base[SWL_REGION_COUNT],
                    swl_npu_run npu, void *user);

/// Forgets all tokens but those of the program's prefix: the position is `prefix_tokens` (0 for most
/// programs), the rest of the KV cache zero.
void swl_reset(swl_context *context);

/// Runs one token at the next position. Afterwards `swl_logits` are those of the token that follows.
swl_status swl_decode(swl_context *context, int32_t token);

/// Runs a whole prompt: all but the last token in batches of `prefill.tokens`, the last one (and what is
/// too little for a batch, before a position where one may start, or so near the context's end that a batch
/// has no room) by decode. A batch may
/// write cache rows after the last of its tokens; later tokens overwrite them before anything reads them.
/// Afterwards `swl_logits` are valid. Nothing runs when an id is out of range or the prompt does not fit.
swl_status swl_prompt(swl_context *context, const int32_t *tokens, uint32_t count);

/// Runs one token at the next position; when none is left, first makes room: the oldest tokens are
/// forgotten but for the first `keep`, half of the others stay and are read again by `swl_prompt`. The
/// result is that of a conversation that consists of the tokens left.
///
/// `window` is an array of `program->context` ids that belongs to the caller: the ids of all positions so
/// far, `swl_prompt`'s among them (those of a prefix may be anything). The token is added to it, and it
/// follows what is forgotten. `keep` is below the context's size and not below `prefix_tokens`.
swl_status swl_decode_rolling(swl_context *context, int32_t token, int32_t *window, uint32_t keep);

/// The logits of the last decode: int16 [vocabulary].
const int16_t *swl_logits(const swl_context *context);

/// The lowest id with the largest logit.
int32_t swl_argmax(const int16_t *logits, uint32_t count);

/// Draws an id: greedy when `temperature` is 0, else as Docs/Numerics.md ("Sampling") defines.
/// `random` is the generator's state, seeded by the caller and advanced by one draw.
int32_t swl_sample(const int16_t *logits, uint32_t count, float logits_scale, float temperature,
                   uint64_t *random);

/// Text of a status, for messages.
const char *swl_status_text(swl_status status);

#ifdef __cplusplus
}
#endif
#endif
