#include "swiftlet_runtime.h"
#include "swl_arithmetic.h"

/// A step list being checked.
typedef struct checker {
  const swl_program *program;
  const uint32_t *step; ///< parameters of the step at hand
  int ok;
} checker;

static void require(checker *c, int condition) {
  if (!condition) {
    c->ok = 0;
  }
}

/// Checks the place of `count` elements of `size` bytes against its region and its alignment.
static void place(checker *c, swl_ref ref, uint64_t count, uint32_t size) {
  uint32_t region = SWL_REF_REGION(ref);
  uint32_t begin = SWL_REF_OFFSET(ref);
  require(c, region < SWL_REGION_COUNT && begin % size == 0);
  require(c, c->ok && begin + count * size <= c->program->region_bytes[region]);
}

static void check_npu_job(checker *c) {
  const swl_job *job;
  if (c->step[0] >= c->program->job_count) {
    c->ok = 0;
    return;
  }
  job = &c->program->jobs[c->step[0]];
  require(c, job->payload != NULL && job->bytes > 0 && (uintptr_t)job->payload % 16 == 0);
}

/// A kernel's number of parameters and its check, by kernel number.
static const struct {
  uint32_t parameters;
  void (*check)(checker *);
} rules[] = {
    {0, NULL}, {1, check_npu_job},
};

static swl_status check_steps(const swl_program *program, const swl_steps *steps) {
  checker c = {program, NULL, 1};
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

/// Checks that a base pointer stays in the state region at all positions.
static void check_cache_place(checker *c, const swl_cache_place *p) {
  uint32_t inside;
  uint64_t end;
  require(c, p->chunk >= 1 && p->period >= 1 && p->offsets != NULL && p->offset_count >= 1 &&
                 p->offset_count <= SWL_MAX_CONTEXT);
  if (!c->ok) {
    return;
  }
  inside = p->chunk < c->program->context ? p->chunk : c->program->context;
  require(c, p->offset_count >= (p->period < inside ? p->period : inside));
  end = (uint64_t)((c->program->context - 1) / p->chunk) * p->chunk_bytes +
        (uint64_t)((inside - 1) / p->period) * p->period_bytes;
  for (uint32_t i = 0; i < p->offset_count; i++) {
    require(c, end + p->offsets[i] < c->program->region_bytes[SWL_REGION_STATE]);
  }
}

/// Checks what is copied into the state region before a conversation.
static void check_fills(checker *c) {
  const swl_program *program = c->program;
  require(c, program->fill_count <= SWL_MAX_FILLS && (program->fill_count == 0 || program->fills != NULL));
  for (uint32_t i = 0; c->ok && i < program->fill_count; i++) {
    const swl_fill *fill = &program->fills[i];
    require(c, fill->count >= 1);
    require(c, c->ok && fill->offset + (uint64_t)(fill->count - 1) * fill->stride + fill->bytes <=
                            program->region_bytes[SWL_REGION_STATE]);
    require(c, c->ok && fill->source + (uint64_t)(fill->count - 1) * fill->source_stride + fill->bytes <=
                            program->region_bytes[SWL_REGION_WEIGHTS]);
  }
}

swl_status swl_program_check(const swl_program *program) {
  checker c;
  swl_status status;
  uint32_t batch;
  if (program == NULL || (program->job_count > 0 && program->jobs == NULL)) {
    return SWL_ERROR_ARGUMENT;
  }
  if (program->abi_version != SWL_ABI_VERSION) {
    return SWL_ERROR_ABI;
  }
  c.program = program;
  c.step = NULL;
  c.ok = 1;
  batch = program->prefill.tokens > 1 ? program->prefill.tokens : 1;
  // Token ids are int32.
  require(&c, program->vocabulary >= 1 && program->vocabulary <= (uint32_t)INT32_MAX);
  require(&c, program->context >= 1 && program->context <= SWL_MAX_CONTEXT);
  require(&c, program->decode.tokens == 1 && program->prefill.tokens <= program->context);
  require(&c, program->near_positions == 0 ||
                  (program->prefill_near.tokens == program->prefill.tokens &&
                   program->near_positions <= program->context));
  place(&c, program->logits, program->vocabulary, 2);
  place(&c, SWL_MAKE_REF(SWL_REGION_STATE, program->mask), program->context, 2);
  place(&c, SWL_MAKE_REF(SWL_REGION_PARAMS, program->rotation),
              (uint64_t)program->context * program->rotation_row_bytes, 1);
  require(&c, program->rotation_place <= 0x1FFFFFFFu && program->rotation_place % 16 == 0);
  place(&c, SWL_MAKE_REF(SWL_REGION_STATE, program->rotation_place),
              (uint64_t)batch * program->rotation_row_bytes, 1);
  require(&c, program->selection_place <= 0x1FFFFFFFu && program->validity_place <= 0x1FFFFFFFu);
  place(&c, SWL_MAKE_REF(SWL_REGION_STATE, program->selection_place), 10, 2);
  place(&c, SWL_MAKE_REF(SWL_REGION_STATE, program->validity_place), batch, 2);
  require(&c, program->prefill_alignment >= 1 &&
                  (program->prefill_alignment & (program->prefill_alignment - 1)) == 0);
  check_cache_place(&c, &program->values);
  check_cache_place(&c, &program->keys);
  check_fills(&c);
  if (program->embedding_row_bytes > 0) {
    require(&c, program->embedding <= 0x1FFFFFFFu && program->multipliers <= 0x1FFFFFFFu &&
                    program->multiplier_place <= 0x1FFFFFFFu);
    require(&c, program->embedding % 16 == 0 && program->embedding_row_bytes % 16 == 0);
    place(&c, SWL_MAKE_REF(SWL_REGION_WEIGHTS, program->embedding),
                (uint64_t)program->vocabulary * program->embedding_row_bytes, 1);
    place(&c, SWL_MAKE_REF(SWL_REGION_WEIGHTS, program->multipliers), program->vocabulary, 4);
    place(&c, SWL_MAKE_REF(SWL_REGION_STATE, program->multiplier_place), batch, 4);
    if (batch > 1) {
      require(&c, program->embedding_place <= 0x1FFFFFFFu && program->embedding_place % 16 == 0);
      place(&c, SWL_MAKE_REF(SWL_REGION_STATE, program->embedding_place),
                  (uint64_t)batch * program->embedding_row_bytes, 1);
    }
  }
  require(&c, program->prefix_tokens == 0 || program->prefix_tokens < program->context);
  require(&c, program->mask >= (batch - 1) * 2);
  require(&c, program->mask <= 0x1FFFFFFFu && program->rotation <= 0x1FFFFFFFu);
  require(&c, program->rotation % 16 == 0 && program->rotation_row_bytes % 16 == 0);
  if (!c.ok) {
    return SWL_ERROR_PROGRAM;
  }
  status = check_steps(program, &program->decode);
  if (status == SWL_OK && program->prefill.tokens > 0) {
    status = check_steps(program, &program->prefill);
  }
  if (status == SWL_OK && program->near_positions > 0 && program->prefill.tokens > 0) {
    status = check_steps(program, &program->prefill_near);
  }
  return status;
}
