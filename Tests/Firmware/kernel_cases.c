#include "kernel_cases.h"

#include <string.h>

#include "swiftlet_runtime.h"
#include "swl_kernels.h"

// Shapes of a small real model: 9 heads of 64 channels on 3 cache heads, 512 positions.
enum { WIDTH = 576, HIDDEN = 1536, HEADS = 9, KV_HEADS = 3, HEAD_DIM = 64, CONTEXT = 512 };

static union {
  uint8_t bytes[KERNEL_CASE_LIMIT];
  uint64_t align;
} out;
uint8_t *const kernel_out = out.bytes;

static int32_t scratch[CONTEXT];
static int16_t narrow_a[HIDDEN];
static int16_t logits[4096];
static uint32_t powers[512], reciprocals[512];
static int8_t keys[KV_HEADS * CONTEXT * HEAD_DIM], values[KV_HEADS * CONTEXT * HEAD_DIM];
static int32_t factors[HEADS];
static uint64_t state;

static uint32_t draw(void) {
  uint64_t z = state += UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
  return (uint32_t)((z ^ (z >> 31)) >> 32);
}

static void fill_bytes(void *to, uint32_t count) {
  uint8_t *bytes = to;
  for (uint32_t i = 0; i < count; i++) {
    bytes[i] = (uint8_t)draw();
  }
}

/// Numbers like those of the contract's tables, in integers alone.
static int32_t power(int i) { return 32700 >> ((512 - i) / 32); }

static int32_t reciprocal(int i) {
  int32_t u = 128 * i - 32768 < 16384 ? 16384 : 128 * i - 32768;
  int32_t y = (1 << 29) / u;
  return y > 32767 ? 32767 : y;
}

static uint32_t entry(int32_t from, int32_t to) {
  return ((uint32_t)from & 0xFFFFu) | (uint32_t)(to - from) << 16;
}

static void prepare(void) {
  state = 20240601;
  memset(out.bytes, 0xEE, sizeof out.bytes);
  fill_bytes(narrow_a, sizeof narrow_a);
  fill_bytes(keys, sizeof keys);
  fill_bytes(values, sizeof values);
  for (int i = 0; i < 512; i++) {
    powers[i] = entry(power(i), power(i + 1));
    reciprocals[i] = entry(reciprocal(i), reciprocal(i + 1));
  }
  for (int i = 0; i < 4096; i++) {
    logits[i] = (int16_t)((int32_t)(draw() & 0xFFFu) - 2048);
  }
  for (int h = 0; h < HEADS; h++) {
    factors[h] = (1 << 30) + (int32_t)(draw() >> 3);
  }
}

static uint32_t run_embedding(void) {
  static const int32_t tokens[2] = {2, 0};
  swl_embedding(2, WIDTH, tokens, keys, factors, 30, (int32_t *)(void *)kernel_out);
  return 2 * WIDTH * 4;
}

static uint32_t attention(uint32_t n, uint32_t position, uint32_t head_dim, uint32_t bits) {
  swl_attention_args a;
  a.n = n;
  a.heads = HEADS;
  a.kv_heads = KV_HEADS;
  a.head_dim = head_dim;
  a.pitch = HEAD_DIM;
  a.context = CONTEXT;
  a.position = position;
  a.q = narrow_a;
  a.k = keys;
  a.v = values;
  a.score_multiplier = factors[0];
  a.score_shift = 41;
  a.powers = powers;
  a.reciprocals = reciprocals;
  a.multiplier = bits == 8 ? 0x5A5A5A5A : 1;
  a.shift = bits == 8 ? 38 : 0;
  a.scratch = scratch;
  a.out = kernel_out;
  a.bits = bits;
  swl_attention(&a);
  return n * HEADS * head_dim * bits / 8;
}

static uint32_t run_attention(void) { return attention(1, CONTEXT - 1, HEAD_DIM, 16); }

static uint32_t run_attention_8(void) { return attention(2, 17, HEAD_DIM, 8); }

static uint32_t run_attention_odd(void) { return attention(1, 299, 27, 16); }

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

// A whole token through the public interface: embedding and attention.
static union {
  uint8_t bytes[8192];
  uint64_t align;
} weights, arena, model_state, params;

static int no_npu(struct swl_context *context, const swl_job *job) {
  (void)context;
  (void)job;
  return 0;
}

#define AT(region, offset) ((uint32_t)(region) << 29 | (offset))
#define STEP(kernel, words) ((kernel) | (words) << 8)

static uint32_t run_decode(void) {
  static const uint32_t words[] = {
      STEP(2, 8), 1, 16, 4, AT(0, 0), AT(0, 64), 24, AT(1, 0),
      STEP(3, 19), 1, 2, 2, 8, 16, 8, AT(1, 0), AT(3, 0), AT(3, 256), 0x5A5A5A5A, 40,
      AT(4, 0), AT(4, 2048), 1, 0, AT(1, 256), AT(1, 96), 16};
  swl_program program;
  swl_context context;
  uint8_t *base[SWL_REGION_COUNT] = {0};
  const int32_t prompt[4] = {3, 1, 0, 2};
  memset(&program, 0, sizeof program);
  memset(&arena, 0, sizeof arena);
  program.abi_version = SWL_ABI_VERSION;
  program.vocabulary = 4;
  program.context = 8;
  program.decode.words = words;
  program.decode.count = sizeof words / sizeof words[0];
  program.decode.tokens = 1;
  program.logits = AT(1, 128);
  program.logits_scale = 1;
  program.mask = 512;
  program.region_bytes[SWL_REGION_WEIGHTS] = 256;
  program.region_bytes[SWL_REGION_ARENA] = 512;
  program.region_bytes[SWL_REGION_STATE] = 544;
  program.region_bytes[SWL_REGION_PARAMS] = 4096;
  base[SWL_REGION_WEIGHTS] = weights.bytes;
  base[SWL_REGION_ARENA] = arena.bytes;
  base[SWL_REGION_STATE] = model_state.bytes;
  base[SWL_REGION_PARAMS] = params.bytes;
  memcpy(weights.bytes, keys, 64);
  memcpy(weights.bytes + 64, factors, 16);
  memcpy(params.bytes, powers, 2048);
  memcpy(params.bytes + 2048, reciprocals, 2048);
  if (swl_program_check(&program) != SWL_OK ||
      swl_open(&context, &program, base, no_npu, NULL) != SWL_OK ||
      swl_prompt(&context, prompt, 4) != SWL_OK || context.position != 4) {
    return 0;
  }
  memcpy(kernel_out, arena.bytes, 512);
  memcpy(kernel_out + 512, model_state.bytes, 544);
  return 1056;
}

const kernel_case kernel_cases[] = {
    {"embedding", "element", 2 * WIDTH, prepare, run_embedding},
    {"attention a16 512", "position x head", HEADS * CONTEXT, prepare, run_attention},
    {"attention a8 18+19", "position x head", HEADS * 37, prepare, run_attention_8},
    {"attention odd width", "position x head", HEADS * 300, prepare, run_attention_odd},
    {"argmax", "logit", 4096, prepare, run_argmax},
    {"sample x 8", "logit", 8 * 4096, prepare, run_sample},
    {"decode x 4", "token", 4, prepare, run_decode},
};
const uint32_t kernel_case_count = sizeof kernel_cases / sizeof kernel_cases[0];
