#include "swiftlet_runtime.h"

#include <string.h>


/// The address of a reference. Through `void *`: the check and the 16-byte aligned bases make every
/// element aligned.
static void *at(const swl_context *context, swl_ref ref) {
  return context->base[SWL_REF_REGION(ref)] + SWL_REF_OFFSET(ref);
}

/// Runs the step whose parameters start at `s`.
static swl_status run_step(swl_context *context, uint32_t kernel, const uint32_t *s) {
  switch (kernel) {
  case SWL_KERNEL_NPU_JOB:
    return context->npu(context, &context->program->jobs[s[0]]) == 0 ? SWL_OK : SWL_ERROR_NPU;
  default:
    return SWL_ERROR_PROGRAM;
  }
}

/// The score mask: one number for each position of the context.
static int16_t *mask_of(const swl_context *context) {
  return at(context, SWL_MAKE_REF(SWL_REGION_STATE, context->program->mask));
}

/// How far the caches' numbers of a position are behind those of position 0.
static uint32_t cache_offset(const swl_cache_place *place, uint32_t position) {
  uint32_t inside = position % place->chunk;
  return position / place->chunk * place->chunk_bytes +
         inside / place->period * place->period_bytes + place->offsets[inside % place->period];
}

void swl_base_pointers(const swl_context *context, uint8_t *base[SWL_BASE_COUNT]) {
  const swl_program *program = context->program;
  uint32_t at_end = program->context > 0 ? program->context - 1 : 0;
  uint32_t row = context->position < at_end ? context->position : at_end;
  for (int i = 0; i < SWL_REGION_COUNT; i++) {
    base[i] = context->base[i];
  }
  base[SWL_BASE_EMBEDDING] = context->base[SWL_REGION_WEIGHTS] + program->embedding +
                             (uint32_t)context->token * program->embedding_row_bytes;
  base[SWL_BASE_VALUES] = context->base[SWL_REGION_STATE] + cache_offset(&program->values, row);
  base[SWL_BASE_KEYS] = context->base[SWL_REGION_STATE] + cache_offset(&program->keys, row);
}

/// Sixteen bytes: what rows of tables consist of.
typedef struct quad {
  uint32_t words[4];
} quad;

static void copy_row(quad *to, const quad *from, uint32_t bytes) {
  for (uint32_t i = 0; i < bytes / sizeof *to; i++) {
    to[i] = from[i];
  }
}

/// Says where a token's numbers go among those that share a base pointer, or which rows of a batch hold
/// tokens.
static void select_places(const swl_context *context, uint32_t count, uint32_t rows) {
  const swl_program *program = context->program;
  if (rows > 1) {
    int16_t *valid = at(context, SWL_MAKE_REF(SWL_REGION_STATE, program->validity_place));
    for (uint32_t t = 0; t < rows; t++) {
      valid[t] = t < count;
    }
  } else {
    int16_t *chosen = at(context, SWL_MAKE_REF(SWL_REGION_STATE, program->selection_place));
    for (uint32_t i = 0; i < 8; i++) {
      chosen[i] = i == context->position % 8;
    }
    chosen[8] = context->position % 2 == 0;
    chosen[9] = context->position % 2 == 1;
  }
}

/// Puts what a step list of `rows` tokens reads of them where it reads it: the rotations of their
/// positions, the multipliers of their embeddings and, unless a base pointer points at the only one, the
/// embeddings.
static void place_tokens(const swl_context *context, const int32_t *tokens, uint32_t count,
                         uint32_t rows) {
  const swl_program *program = context->program;
  uint32_t bytes = program->embedding_row_bytes;
  uint32_t turn = program->rotation_row_bytes;
  const int32_t *multipliers;
  int32_t *factors;
  // Positions follow each other, and so do their rows.
  copy_row(at(context, SWL_MAKE_REF(SWL_REGION_STATE, program->rotation_place)),
           at(context, SWL_MAKE_REF(SWL_REGION_PARAMS, program->rotation + context->position * turn)),
           rows * turn);
  if (bytes == 0) {
    return;
  }
  multipliers = at(context, SWL_MAKE_REF(SWL_REGION_WEIGHTS, program->multipliers));
  factors = at(context, SWL_MAKE_REF(SWL_REGION_STATE, program->multiplier_place));
  for (uint32_t t = 0; t < rows; t++) {
    // Rows without a token repeat the last one's.
    uint32_t id = (uint32_t)tokens[t < count ? t : count - 1];
    factors[t] = multipliers[id];
    if (rows > 1) {
      copy_row(at(context, SWL_MAKE_REF(SWL_REGION_STATE, program->embedding_place + t * bytes)),
               at(context, SWL_MAKE_REF(SWL_REGION_WEIGHTS, program->embedding + id * bytes)), bytes);
    }
  }
}

/// Runs a step list for `count` tokens at the context's position, then moves the position past them.
static swl_status run_steps(swl_context *context, const swl_steps *steps, const int32_t *tokens,
                            uint32_t count) {
  uint32_t next = 0;
  if (context->failed) {
    return SWL_ERROR_NPU;
  }
  // Each later row of a batch sees one position more than the row before, by where its mask starts.
  int16_t *mask = mask_of(context) + context->position;
  mask[0] = INT16_MAX;
  context->token = tokens[0];
  select_places(context, count, steps->tokens);
  place_tokens(context, tokens, count, steps->tokens);
  while (next < steps->count) {
    uint32_t head = steps->words[next];
    swl_status status;
    context->last_step = next;
    if (head >> 8 == 0) {
      return SWL_ERROR_PROGRAM;
    }
    status = run_step(context, head & 0xFFu, steps->words + next + 1);
    if (status != SWL_OK) {
      // Numbers are added to the caches: what a job left there would be in the way of another try.
      context->failed = 1;
      return status;
    }
    next += head >> 8;
  }
  for (uint32_t t = 1; t < count; t++) {
    mask[t] = INT16_MAX;
  }
  context->position += count;
  return SWL_OK;
}

static int is_token(const swl_program *program, int32_t token) {
  return token >= 0 && (uint32_t)token < program->vocabulary;
}

/// How many tokens still fit.
static uint32_t room(const swl_context *context) {
  uint32_t all = context->program->context;
  return context->position < all ? all - context->position : 0;
}

swl_status swl_open(swl_context *context, const swl_program *program,
                    uint8_t *const base[SWL_REGION_COUNT], swl_npu_run npu, void *user) {
  if (context == NULL || program == NULL || base == NULL ||
      (npu == NULL && program->job_count > 0)) {
    return SWL_ERROR_ARGUMENT;
  }
  if (program->abi_version != SWL_ABI_VERSION) {
    return SWL_ERROR_ABI;
  }
  for (int i = 0; i < SWL_REGION_COUNT; i++) {
    if ((uintptr_t)base[i] % 16 != 0 || (base[i] == NULL && program->region_bytes[i] > 0)) {
      return SWL_ERROR_ARGUMENT;
    }
    context->base[i] = base[i];
  }
  context->program = program;
  context->npu = npu;
  context->user = user;
  swl_reset(context);
  return SWL_OK;
}

void swl_reset(swl_context *context) {
  const swl_program *program = context->program;
  uint32_t first = program->prefix_tokens;
  if (context->base[SWL_REGION_STATE] != NULL) {
    int16_t *mask = mask_of(context);
    memset(context->base[SWL_REGION_STATE], 0, program->region_bytes[SWL_REGION_STATE]);
    for (uint32_t i = 0; i < program->context; i++) {
      mask[i] = i < first ? INT16_MAX : SWL_MASKED;
    }
    for (uint32_t f = 0; f < program->fill_count; f++) {
      const swl_fill *fill = &program->fills[f];
      for (uint32_t i = 0; i < fill->count; i++) {
        memcpy(context->base[SWL_REGION_STATE] + fill->offset + (size_t)i * fill->stride,
               context->base[SWL_REGION_WEIGHTS] + fill->source + (size_t)i * fill->source_stride,
               fill->bytes);
      }
    }
    for (uint32_t i = 1; i < program->prefill.tokens; i++) {
      *(mask - i) = INT16_MAX;
    }
  }
  context->position = first;
  context->failed = 0;
  context->token = 0;
  context->last_step = 0;
}

swl_status swl_decode(swl_context *context, int32_t token) {
  if (context == NULL || context->program == NULL) {
    return SWL_ERROR_ARGUMENT;
  }
  if (!is_token(context->program, token)) {
    return SWL_ERROR_TOKEN;
  }
  if (room(context) == 0) {
    return SWL_ERROR_CONTEXT_FULL;
  }
  return run_steps(context, &context->program->decode, &token, 1);
}

swl_status swl_prompt(swl_context *context, const int32_t *tokens, uint32_t count) {
  const swl_program *program;
  if (context == NULL || context->program == NULL || tokens == NULL || count == 0) {
    return SWL_ERROR_ARGUMENT;
  }
  program = context->program;
  for (uint32_t i = 0; i < count; i++) {
    if (!is_token(program, tokens[i])) {
      return SWL_ERROR_TOKEN;
    }
  }
  if (count > room(context)) {
    return SWL_ERROR_CONTEXT_FULL;
  }
  while (count > 0) {
    // Prefill leaves no logits, so at least the last token goes through decode. All rows of a batch
    // are written, so all need room.
    uint32_t batch = program->prefill.tokens;
    uint32_t rows = count - 1 < batch ? count - 1 : batch;
    int batched = rows > 0 && rows >= program->prefill_from && batch <= room(context) &&
                  (context->position & (program->prefill_alignment - 1)) == 0;
    // Attention of a batch near the beginning need not look at all positions.
    int near = batched && context->position + batch <= program->near_positions;
    const swl_steps *steps = near      ? &program->prefill_near
                             : batched ? &program->prefill
                                       : &program->decode;
    swl_status status;
    rows = batched ? rows : 1;
    status = run_steps(context, steps, tokens, rows);
    if (status != SWL_OK) {
      return status;
    }
    tokens += rows;
    count -= rows;
  }
  return SWL_OK;
}

swl_status swl_decode_rolling(swl_context *context, int32_t token, int32_t *window, uint32_t keep) {
  const swl_program *program;
  uint32_t kept;
  if (context == NULL || context->program == NULL || window == NULL ||
      keep >= context->program->context || keep < context->program->prefix_tokens) {
    return SWL_ERROR_ARGUMENT;
  }
  program = context->program;
  if (!is_token(program, token)) {
    return SWL_ERROR_TOKEN;
  }
  if (room(context) > 0) {
    window[context->position] = token;
    return run_steps(context, &program->decode, &token, 1);
  }
  kept = (program->context - keep) / 2;
  memmove(window + keep, window + program->context - kept, kept * sizeof *window);
  window[keep + kept] = token;
  swl_reset(context);
  return swl_prompt(context, window + context->position, keep + kept + 1 - context->position);
}

const int16_t *swl_logits(const swl_context *context) {
  return at(context, context->program->logits);
}

const char *swl_status_text(swl_status status) {
  switch (status) {
  case SWL_OK:
    return "ok";
  case SWL_ERROR_ABI:
    return "the program was made for another version of the runtime";
  case SWL_ERROR_PROGRAM:
    return "a step of the program is malformed or reaches outside its region";
  case SWL_ERROR_TOKEN:
    return "a token id is outside the vocabulary";
  case SWL_ERROR_CONTEXT_FULL:
    return "no position is left in the KV cache";
  case SWL_ERROR_NPU:
    return "the NPU job failed";
  case SWL_ERROR_ARGUMENT:
    return "a null pointer, an empty prompt, or a buffer too small or misaligned";
  }
  return "unknown status";
}
