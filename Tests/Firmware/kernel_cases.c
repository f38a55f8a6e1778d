#include "kernel_cases.h"

#include <string.h>

#include "swiftlet_runtime.h"

// Shapes of a small real model: 576 wide, 512 positions, batches of 16 tokens.
enum { WIDTH = 576, CONTEXT = 512, BATCH = 16, VOCABULARY = 32, TURN = 128 };

static union {
  uint8_t bytes[KERNEL_CASE_LIMIT];
  uint64_t align;
} out;
uint8_t *const kernel_out = out.bytes;

static int16_t logits[4096];
static uint64_t state;

static uint32_t draw(void) {
  uint64_t z = state += UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
  return (uint32_t)((z ^ (z >> 31)) >> 32);
}

// A program whose jobs do nothing: what is left is the runtime's own work.
#define ALIGNED __attribute__((aligned(16)))
static uint8_t weights[VOCABULARY * (WIDTH + 4)] ALIGNED;
// The score mask, the rotations, the multipliers and the rows of a batch.
enum {
  MASK = BATCH * 2,
  TURNS = MASK + CONTEXT * 2,
  FACTORS = TURNS + BATCH * TURN,
  ROWS = FACTORS + BATCH * 4,
  CHOSEN = ROWS + BATCH * WIDTH,
  VALID = CHOSEN + 32,
  CACHES = VALID + BATCH * 2
};
static uint8_t model_state[CACHES + CONTEXT * 64] ALIGNED;
static uint8_t arena[256] ALIGNED, params[CONTEXT * TURN] ALIGNED;
// Streams of two parts, as a U55's caches are: eight positions stand together.
static const uint32_t offsets[8] = {0, 8, 16, 24, 32, 40, 48, 56};
static const swl_fill fills[1] = {{CACHES, 64, 4, 0, 0, 16}};

static const uint8_t payload[16] ALIGNED = {1};
static const swl_job jobs[2] = {{payload, 16}, {payload, 16}};

#define AT(region, offset) ((uint32_t)(region) << 29 | (offset))
#define STEP(kernel, words) ((kernel) | (words) << 8)

static const uint32_t decode_words[] = {STEP(1, 2), 0};
static const uint32_t prefill_words[] = {STEP(1, 2), 1};
static swl_program program;
static swl_context context;

/// Notes what a job would see: the base pointers' distances, then it is done.
static int note(struct swl_context *c, const swl_job *job) {
  uint8_t *base[SWL_BASE_COUNT];
  uint32_t seen[3];
  swl_base_pointers(c, base);
  seen[0] = (uint32_t)(base[SWL_BASE_VALUES] - model_state);
  seen[1] = (uint32_t)(base[SWL_BASE_EMBEDDING] - weights);
  seen[2] = (uint32_t)(base[SWL_BASE_KEYS] - model_state);
  memcpy(arena + (job == jobs ? 0 : 16), seen, sizeof seen);
  return 0;
}

static void prepare(void) {
  uint8_t *base[SWL_REGION_COUNT] = {0};
  state = 20240601;
  memset(out.bytes, 0xEE, sizeof out.bytes);
  memset(arena, 0, sizeof arena);
  for (uint32_t i = 0; i < 4096; i++) {
    logits[i] = (int16_t)((int32_t)(draw() & 0xFFFu) - 2048);
  }
  for (uint32_t i = 0; i < sizeof weights; i++) {
    weights[i] = (uint8_t)draw();
  }
  memset(&program, 0, sizeof program);
  program.abi_version = SWL_ABI_VERSION;
  program.vocabulary = VOCABULARY;
  program.context = CONTEXT;
  program.decode.words = decode_words;
  program.decode.count = 2;
  program.decode.tokens = 1;
  program.prefill.words = prefill_words;
  program.prefill.count = 2;
  program.prefill.tokens = BATCH;
  program.jobs = jobs;
  program.job_count = 2;
  program.logits = AT(1, 64);
  program.logits_scale = 1;
  for (uint32_t i = 0; i < sizeof params; i++) {
    params[i] = (uint8_t)draw();
  }
  program.mask = MASK;
  program.rotation_row_bytes = TURN;
  program.rotation_place = TURNS;
  program.keys.chunk = CONTEXT / 2;
  program.keys.chunk_bytes = CONTEXT / 2 * 64;
  program.keys.period = 8;
  program.keys.period_bytes = 512;
  program.keys.offsets = offsets;
  program.keys.offset_count = 8;
  program.values = program.keys;
  program.values.chunk = CONTEXT;
  program.fills = fills;
  program.fill_count = 1;
  program.prefill_alignment = BATCH;
  program.selection_place = CHOSEN;
  program.validity_place = VALID;
  program.embedding_row_bytes = WIDTH;
  program.multipliers = VOCABULARY * WIDTH;
  program.multiplier_place = FACTORS;
  program.embedding_place = ROWS;
  program.region_bytes[SWL_REGION_WEIGHTS] = sizeof weights;
  program.region_bytes[SWL_REGION_ARENA] = sizeof arena;
  program.region_bytes[SWL_REGION_STATE] = sizeof model_state;
  program.region_bytes[SWL_REGION_PARAMS] = sizeof params;
  base[SWL_REGION_WEIGHTS] = weights;
  base[SWL_REGION_ARENA] = arena;
  base[SWL_REGION_STATE] = model_state;
  base[SWL_REGION_PARAMS] = params;
  if (swl_program_check(&program) != SWL_OK ||
      swl_open(&context, &program, base, note, NULL) != SWL_OK) {
    context.program = NULL;
  }
}

/// Runs the first `count` tokens of a prompt and hands out what a job would read.
static uint32_t prompt(uint32_t count) {
  int32_t tokens[40];
  uint32_t front = ROWS;
  for (uint32_t i = 0; i < count; i++) {
    tokens[i] = (int32_t)(i * 7 % VOCABULARY);
  }
  if (swl_prompt(&context, tokens, count) != SWL_OK || context.position != count) {
    return 0;
  }
  memcpy(kernel_out, arena, 32);
  memcpy(kernel_out + 32, model_state, front + 6 * WIDTH);
  return 32 + front + 6 * WIDTH;
}

static uint32_t run_prompt(void) { return prompt(2 * BATCH + 1); }

static uint32_t run_partial(void) { return prompt(BATCH + 6); }

static uint32_t run_decode(void) {
  if (swl_decode(&context, 5) != SWL_OK) {
    return 0;
  }
  memcpy(kernel_out, arena, 32);
  return 32;
}

static uint32_t run_argmax(void) {
  int32_t id = swl_argmax(logits, 4096);
  memcpy(kernel_out, &id, sizeof id);
  return sizeof id;
}

static uint32_t run_sample(void) {
  int32_t id[8];
  for (int i = 0; i < 8; i++) {
    uint64_t seed = (uint64_t)i * 0x123456789u;
    id[i] = swl_sample(logits, 4096, 0.0123f, 0.1f + 0.3f * (float)i, &seed);
  }
  memcpy(kernel_out, id, sizeof id);
  return sizeof id;
}

const kernel_case kernel_cases[] = {
    {"decode", "token", 1, prepare, run_decode},
    {"prompt, 2 batches + 1", "token", 2 * BATCH + 1, prepare, run_prompt},
    {"prompt, part of a batch", "token", BATCH + 6, prepare, run_partial},
    {"argmax", "logit", 4096, prepare, run_argmax},
    {"sample x 8", "logit", 8 * 4096, prepare, run_sample},
};
const uint32_t kernel_case_count = sizeof kernel_cases / sizeof kernel_cases[0];
