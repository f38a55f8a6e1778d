/// Runs the kernel cases and many damaged programs; meant to be built with the address and
/// undefined-behaviour sanitizers. Regions live on the heap at their exact sizes, so that a step that
/// passes the check and still leaves its region is caught.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_cases.h"
#include "swiftlet_runtime.h"

#define AT(region, offset) ((uint32_t)(region) << 29 | (offset))
#define STEP(kernel, words) ((uint32_t)(kernel) | (uint32_t)(words) << 8)

static uint64_t state = 7;

static uint32_t draw(void) {
  uint64_t z = state += UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
  return (uint32_t)((z ^ (z >> 31)) >> 32);
}

static int no_npu(struct swl_context *context, const swl_job *job) {
  (void)context;
  return job->bytes == 16 ? 0 : -1;
}

enum { WEIGHTS = 64 + 16, ARENA = 64, STATE = 160, PARAMS = 128, MOST = 8 * 2 };

/// Builds, damages, checks and runs one program. Returns whether it passed the check.
static int round_trip(uint8_t *const base[SWL_REGION_COUNT], const swl_job *jobs) {
  uint32_t words[MOST];
  uint32_t count = 0;
  uint32_t n = 1 + draw() % 3;
  const int32_t tokens[4] = {3, 0, 1, 2};
  swl_program program;
  swl_context context;
  uint32_t *exact;
  uint32_t offsets[2] = {4, 5};
  swl_fill fills[1] = {{0, 16, 4, 0, draw() % 2 * 16, 8}};
  int passed;
  for (uint32_t i = 1 + draw() % 6; i > 0; i--) {
    words[count++] = STEP(1, 2);
    words[count++] = 0;
  }
  for (uint32_t i = draw() % 3; i > 0; i--) {
    uint32_t at = draw() % count;
    switch (draw() % 4) {
    case 0:
      words[at] = draw();
      break;
    case 1:
      words[at] ^= 1u << draw() % 32;
      break;
    case 2:
      words[at] += draw() % 65 - 32;
      break;
    default:
      words[at] = words[draw() % count];
    }
  }
  if (draw() % 8 == 0) {
    count -= draw() % count;
  }
  exact = malloc(count * 4);
  if (exact == NULL) {
    abort();
  }
  memcpy(exact, words, count * 4);
  memset(&program, 0, sizeof program);
  program.abi_version = SWL_ABI_VERSION;
  program.vocabulary = 4;
  program.context = 8;
  program.decode.tokens = 1;
  if (n == 1) {
    program.decode.words = exact;
    program.decode.count = count;
  } else {
    program.prefill.words = exact;
    program.prefill.count = count;
    program.prefill.tokens = n;
    program.prefill_near = program.prefill;
    program.near_positions = draw() % 9;
  }
  program.jobs = jobs;
  program.job_count = 1;
  program.logits = AT(1, 0);
  program.mask = 16;
  program.prefill_from = draw() % 3;
  program.prefill_alignment = 1u << draw() % 3;
  program.keys.chunk = 8;
  program.keys.period = 2;
  program.keys.period_bytes = 2;
  program.keys.offsets = offsets;
  program.keys.offset_count = 2;
  program.values = program.keys;
  program.fills = fills;
  program.fill_count = draw() % 2;
  if (draw() % 2 == 0) {
    program.embedding_row_bytes = 16;
    program.multipliers = 64;
    program.multiplier_place = 48;
    program.embedding_place = 64;
    program.rotation_row_bytes = 16;
    program.prefix_tokens = draw() % 4;
    program.rotation_place = 96;
  }
  // Damage to the numbers that say where the runtime writes, too.
  if (draw() % 4 == 0) {
    uint32_t *fields[] = {&program.mask,
                          &program.embedding,
                          &program.embedding_row_bytes,
                          &program.multipliers,
                          &program.multiplier_place,
                          &program.embedding_place,
                          &program.prefill.tokens,
                          &program.context,
                          &program.prefix_tokens,
                          &program.rotation_place,
                          &program.selection_place,
                          &program.validity_place,
                          &program.prefill_alignment,
                          &program.prefill_near.tokens,
                          &program.near_positions,
                          &program.keys.chunk,
                          &program.keys.chunk_bytes,
                          &program.keys.period,
                          &program.keys.period_bytes,
                          &fills[0].offset,
                          &fills[0].stride,
                          &fills[0].count,
                          &fills[0].source,
                          &fills[0].source_stride,
                          &fills[0].bytes,
                          &offsets[0]};
    uint32_t *field = fields[draw() % (sizeof fields / sizeof fields[0])];
    *field = draw() % 2 == 0 ? draw() >> draw() % 32 : *field + draw() % 65 - 32;
  }
  program.region_bytes[SWL_REGION_WEIGHTS] = WEIGHTS;
  program.region_bytes[SWL_REGION_ARENA] = ARENA;
  program.region_bytes[SWL_REGION_STATE] = STATE;
  program.region_bytes[SWL_REGION_PARAMS] = PARAMS;
  passed = swl_program_check(&program) == SWL_OK;
  if (passed && swl_open(&context, &program, base, no_npu, NULL) == SWL_OK) {
    for (int i = 0; i < 3; i++) {
      uint64_t seed = draw();
      if (swl_prompt(&context, tokens, 1 + draw() % 4) == SWL_OK) {
        int32_t *window = calloc(program.context, sizeof *window);
        if (window == NULL) {
          abort();
        }
        (void)swl_decode_rolling(&context, 2, window, draw() % 8);
        free(window);
        (void)swl_sample(swl_logits(&context), 4, 0.25f, (float)(draw() % 4), &seed);
      }
    }
  }
  free(exact);
  return passed;
}

int main(void) {
  uint8_t *base[SWL_REGION_COUNT] = {0};
  swl_job job = {0};
  uint32_t passed = 0;
  const uint32_t rounds = 200000;
  for (uint32_t i = 0; i < kernel_case_count; i++) {
    kernel_cases[i].prepare();
    if (kernel_cases[i].run() == 0) {
      fprintf(stderr, "%s gave nothing\n", kernel_cases[i].name);
      return 1;
    }
  }
  base[SWL_REGION_WEIGHTS] = calloc(WEIGHTS, 1);
  base[SWL_REGION_ARENA] = calloc(ARENA, 1);
  base[SWL_REGION_STATE] = malloc(STATE);
  base[SWL_REGION_PARAMS] = malloc(PARAMS);
  job.payload = malloc(16);
  job.bytes = 16;
  if (base[0] == NULL || base[1] == NULL || base[3] == NULL || base[4] == NULL || job.payload == NULL) {
    return 1;
  }
  for (uint32_t i = 0; i < rounds; i++) {
    passed += (uint32_t)round_trip(base, &job);
  }
  printf("%u of %u damaged programs passed the check and ran in their regions\n", (unsigned)passed,
         (unsigned)rounds);
  for (int i = 0; i < SWL_REGION_COUNT; i++) {
    free(base[i]);
  }
  free((void *)(uintptr_t)job.payload);
  return passed > rounds / 20 && passed < rounds ? 0 : 1;
}
