#include "swiftlet_runtime.h"
#include "swl_kernels.h"

/// An operand's bytes: a half-open range in a region.
typedef struct extent {
  uint32_t region;
  uint64_t begin, end;
} extent;

/// A step list being checked.
typedef struct checker {
  const swl_program *program;
  const uint32_t *step; ///< parameters of the step at hand
  uint32_t tokens;
  int ok;
} checker;

static void require(checker *c, int condition) {
  if (!condition) {
    c->ok = 0;
  }
}

/// The place of `count` elements of `size` bytes, checked against its region and its alignment.
static extent place(checker *c, swl_ref ref, uint64_t count, uint32_t size) {
  extent e;
  e.region = SWL_REF_REGION(ref);
  e.begin = SWL_REF_OFFSET(ref);
  e.end = e.begin + count * size;
  if (e.region >= SWL_REGION_COUNT || e.begin % size != 0 ||
      e.end > c->program->region_bytes[e.region]) {
    c->ok = 0;
  }
  return e;
}

/// As `place`, for a result: the constant regions take none.
static extent place_out(checker *c, swl_ref ref, uint64_t count, uint32_t size) {
  extent e = place(c, ref, count, size);
  require(c, e.region != SWL_REGION_WEIGHTS && e.region != SWL_REGION_PARAMS);
  return e;
}

/// A result may not touch what the kernel still reads.
static void apart(checker *c, extent a, extent b) {
  require(c, a.region != b.region || a.end <= b.begin || b.end <= a.begin);
}

/// Bytes of an output element, by its width in bits.
static uint32_t out_size(checker *c, uint32_t bits) {
  require(c, bits == 8 || bits == 16);
  return bits == 8 ? 1 : 2;
}

static void require_tokens(checker *c, uint32_t n) { require(c, n == c->tokens); }

static void require_context(checker *c, uint32_t context) {
  require(c, context >= c->program->context && context <= SWL_MAX_CONTEXT);
}

static void require_heads(checker *c, uint32_t heads, uint32_t head_dim) {
  require(c, heads >= 1 && heads <= SWL_MAX_WIDTH);
  require(c, head_dim >= 1 && head_dim <= SWL_MAX_HEAD_DIM);
  require(c, (uint64_t)heads * head_dim <= SWL_MAX_WIDTH);
}

static void require_width(checker *c, uint32_t d) { require(c, d >= 1 && d <= SWL_MAX_WIDTH); }

static void check_npu_job(checker *c) {
  const swl_job *job;
  if (c->step[0] >= c->program->job_count) {
    c->ok = 0;
    return;
  }
  job = &c->program->jobs[c->step[0]];
  require(c, job->payload != NULL && job->bytes > 0 && (uintptr_t)job->payload % 16 == 0);
}

static void check_embedding(checker *c) {
  const uint32_t *s = c->step;
  extent out, table, multiplier;
  require_tokens(c, s[0]);
  require_width(c, s[1]);
  require(c, s[2] >= c->program->vocabulary && s[5] <= SWL_MAX_SHIFT);
  if (!c->ok) {
    return;
  }
  table = place(c, s[3], (uint64_t)s[2] * s[1], 1);
  multiplier = place(c, s[4], s[2], 4);
  out = place_out(c, s[6], (uint64_t)s[0] * s[1], 4);
  apart(c, out, table);
  apart(c, out, multiplier);
}

static void check_attention(checker *c) {
  const uint32_t *s = c->step;
  uint64_t count, cache;
  extent read[5], scratch, out;
  require_tokens(c, s[0]);
  require_heads(c, s[1], s[3]);
  require(c, s[2] >= 1 && s[2] <= s[1] && s[1] % (s[2] == 0 ? 1 : s[2]) == 0);
  require(c, s[4] >= s[3] && s[4] <= SWL_MAX_HEAD_DIM);
  require(c, s[9] <= (uint32_t)INT32_MAX && s[10] <= SWL_MAX_SHIFT && s[13] <= (uint32_t)INT32_MAX && s[14] <= SWL_MAX_SHIFT);
  require_context(c, s[5]);
  if (!c->ok) {
    return;
  }
  count = (uint64_t)s[0] * s[1] * s[3];
  cache = (uint64_t)s[2] * s[5] * s[4];
  read[0] = place(c, s[6], count, 2);
  read[1] = place(c, s[7], cache, 1);
  read[2] = place(c, s[8], cache, 1);
  read[3] = place(c, s[11], 512, 4);
  read[4] = place(c, s[12], 512, 4);
  scratch = place_out(c, s[15], s[5], 4);
  out = place_out(c, s[16], count, out_size(c, s[17]));
  apart(c, out, scratch);
  for (int i = 0; i < 5; i++) {
    apart(c, out, read[i]);
    apart(c, scratch, read[i]);
  }
}

/// A kernel's number of parameters and its check, by kernel number.
static const struct {
  uint32_t parameters;
  void (*check)(checker *);
} rules[] = {
    {0, NULL}, {1, check_npu_job}, {7, check_embedding}, {18, check_attention},
};

static swl_status check_steps(const swl_program *program, const swl_steps *steps) {
  checker c = {program, NULL, steps->tokens, 1};
  uint32_t at = 0;
  if (steps->count > 0 && steps->words == NULL) {
    return SWL_ERROR_ARGUMENT;
  }
  while (at < steps->count) {
    uint32_t head = steps->words[at];
    uint32_t kernel = head & 0xFFu;
    uint32_t words = head >> 8;
    if (kernel == 0 || kernel >= sizeof rules / sizeof rules[0] ||
        words != rules[kernel].parameters + 1 || words > steps->count - at) {
      return SWL_ERROR_PROGRAM;
    }
    c.step = steps->words + at + 1;
    rules[kernel].check(&c);
    if (!c.ok) {
      return SWL_ERROR_PROGRAM;
    }
    at += words;
  }
  return SWL_OK;
}

swl_status swl_program_check(const swl_program *program) {
  checker c;
  swl_status status;
  if (program == NULL || (program->job_count > 0 && program->jobs == NULL)) {
    return SWL_ERROR_ARGUMENT;
  }
  if (program->abi_version != SWL_ABI_VERSION) {
    return SWL_ERROR_ABI;
  }
  c.program = program;
  c.step = NULL;
  c.tokens = 1;
  c.ok = 1;
  // Token ids are int32.
  require(&c, program->vocabulary >= 1 && program->vocabulary <= (uint32_t)INT32_MAX);
  require(&c, program->context >= 1 && program->context <= SWL_MAX_CONTEXT);
  require(&c, program->decode.tokens == 1 && program->prefill.tokens <= program->context);
  (void)place(&c, program->logits, program->vocabulary, 2);
  (void)place(&c, SWL_MAKE_REF(SWL_REGION_STATE, program->mask), program->context, 4);
  (void)place(&c, SWL_MAKE_REF(SWL_REGION_PARAMS, program->rotation),
              (uint64_t)program->context * program->rotation_row_bytes, 1);
  (void)place(&c, SWL_MAKE_REF(SWL_REGION_STATE, 0),
              (uint64_t)program->context * program->cache_row_bytes, 1);
  if (program->embedding_row_bytes > 0) {
    require(&c, program->embedding <= 0x1FFFFFFFu && program->multipliers <= 0x1FFFFFFFu &&
                    program->multiplier_place <= 0x1FFFFFFFu);
    require(&c, program->embedding % 16 == 0 && program->embedding_row_bytes % 16 == 0);
    (void)place(&c, SWL_MAKE_REF(SWL_REGION_WEIGHTS, program->embedding),
                (uint64_t)program->vocabulary * program->embedding_row_bytes, 1);
    (void)place(&c, SWL_MAKE_REF(SWL_REGION_WEIGHTS, program->multipliers), program->vocabulary, 4);
    (void)place(&c, SWL_MAKE_REF(SWL_REGION_STATE, program->multiplier_place), 1, 4);
  }
  require(&c, program->mask <= 0x1FFFFFFFu && program->rotation <= 0x1FFFFFFFu);
  require(&c, program->rotation % 16 == 0 && program->rotation_row_bytes % 16 == 0 &&
                  program->cache_row_bytes % 16 == 0);
  if (!c.ok) {
    return SWL_ERROR_PROGRAM;
  }
  status = check_steps(program, &program->decode);
  if (status == SWL_OK && program->prefill.tokens > 0) {
    status = check_steps(program, &program->prefill);
  }
  return status;
}
