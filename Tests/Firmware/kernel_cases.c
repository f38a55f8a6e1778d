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

static int32_t wide_a[HIDDEN], wide_b[HIDDEN], scratch[CONTEXT];
static int16_t narrow_a[HIDDEN], narrow_b[HIDDEN];
static int16_t logits[4096];
static uint32_t table[512];
static int16_t angles[4 * HEAD_DIM];
static int8_t keys[KV_HEADS * CONTEXT * HEAD_DIM], values[KV_HEADS * CONTEXT * HEAD_DIM];
static int32_t factors[4][KV_HEADS];
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

static void prepare(void) {
  state = 20240601;
  memset(out.bytes, 0xEE, sizeof out.bytes);
  fill_bytes(narrow_a, sizeof narrow_a);
  fill_bytes(narrow_b, sizeof narrow_b);
  fill_bytes(table, sizeof table);
  fill_bytes(angles, sizeof angles);
  fill_bytes(keys, sizeof keys);
  fill_bytes(values, sizeof values);
  for (int i = 0; i < HIDDEN; i++) {
    wide_a[i] = swl_signed32(draw());
    wide_b[i] = swl_signed32(draw());
  }
  for (int i = 0; i < 4096; i++) {
    logits[i] = (int16_t)((int32_t)(draw() & 0xFFFu) - 2048);
  }
  for (int g = 0; g < KV_HEADS; g++) {
    factors[0][g] = (1 << 30) + (int32_t)(draw() >> 3);
    factors[1][g] = 41 + g;
    factors[2][g] = (1 << 30) + (int32_t)(draw() >> 3);
    factors[3][g] = 44 + g;
  }
}

static void prepare_small(void) {
  prepare();
  for (int i = 0; i < HIDDEN; i++) {
    wide_a[i] = (int32_t)(draw() & 0x7FFFFu) - 0x40000;
  }
}

static uint32_t run_embedding(void) {
  static const int32_t tokens[2] = {2, 0};
  swl_embedding(2, WIDTH, tokens, keys, factors[0], 30, (int32_t *)(void *)kernel_out);
  return 2 * WIDTH * 4;
}

static uint32_t run_rms_norm(void) {
  swl_rms_norm(1, WIDTH, wide_a, wide_b, 44, 987654321, kernel_out, 16);
  return WIDTH * 2;
}

static uint32_t run_rms_norm_8(void) {
  swl_rms_norm(1, WIDTH, wide_a, wide_b, 50, (uint64_t)1 << 61, kernel_out, 8);
  return WIDTH;
}

static uint32_t run_rope(void) {
  swl_rope(1, HEADS, HEAD_DIM, 3, narrow_a, angles, (int16_t *)(void *)kernel_out);
  return WIDTH * 2;
}

static uint32_t run_kv_write(void) {
  memset(kernel_out, 7, KV_HEADS * 4 * HEAD_DIM);
  swl_kv_write(2, KV_HEADS, HEAD_DIM, 4, 1, narrow_a, narrow_b, factors[0], factors[1],
               (int8_t *)kernel_out);
  return KV_HEADS * 4 * HEAD_DIM;
}

static uint32_t attention(uint32_t n, uint32_t position, uint32_t head_dim, uint32_t bits) {
  swl_attention_args a;
  a.n = n;
  a.heads = HEADS;
  a.kv_heads = KV_HEADS;
  a.head_dim = head_dim;
  a.context = CONTEXT;
  a.position = position;
  a.q = narrow_a;
  a.k = keys;
  a.v = values;
  a.exp_multiplier = factors[0];
  a.exp_shift = factors[1];
  a.out_multiplier = factors[2];
  a.out_shift = factors[3];
  a.scratch = scratch;
  a.out = kernel_out;
  a.bits = bits;
  swl_attention(&a);
  return n * HEADS * head_dim * bits / 8;
}

static uint32_t run_attention(void) { return attention(1, CONTEXT - 1, HEAD_DIM, 16); }

static uint32_t run_attention_8(void) { return attention(2, 17, HEAD_DIM, 8); }

static uint32_t run_attention_odd(void) { return attention(1, 299, 27, 16); }

static uint32_t run_lut(void) {
  swl_lut(HIDDEN, narrow_a, table, (int16_t *)(void *)kernel_out);
  return HIDDEN * 2;
}

static uint32_t run_mul(void) {
  swl_mul(HIDDEN, narrow_a, narrow_b, 0x5A5A5A5Au, 46, kernel_out, 16);
  return HIDDEN * 2;
}

static uint32_t run_mul_8(void) {
  swl_mul(HIDDEN, narrow_a, narrow_b, 0x7FFFFFFFu, 55, kernel_out, 8);
  return HIDDEN;
}

static uint32_t run_add(void) {
  swl_add(WIDTH, wide_a, wide_b, (int32_t *)(void *)kernel_out);
  return WIDTH * 4;
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

// A whole token through the public interface: norm, rotation, cache, attention, table, product, sum.
static union {
  uint8_t bytes[8192];
  uint64_t align;
} arena, model_state, params;

static int no_npu(struct swl_context *context, const swl_job *job) {
  (void)context;
  (void)job;
  return 0;
}

#define AT(region, offset) ((uint32_t)(region) << 29 | (offset))
#define STEP(kernel, words) ((kernel) | (words) << 8)

static uint32_t run_decode(void) {
  static const uint32_t words[] = {
      STEP(2, 8), 1, 16, 4, AT(4, 0), AT(4, 64), 24, AT(1, 0),
      STEP(3, 10), 1, 16, AT(1, 0), AT(4, 128), 45, 100, 0, AT(1, 64), 16,
      STEP(4, 8), 1, 2, 8, 8, AT(1, 64), AT(4, 192), AT(1, 64),
      STEP(5, 10), 1, 2, 8, 8, AT(1, 64), AT(4, 2448), AT(4, 2400), AT(4, 2416), AT(3, 0),
      STEP(6, 16), 1, 2, 2, 8, 8, AT(1, 64), AT(3, 0), AT(3, 0), AT(4, 2400), AT(4, 2416),
      AT(4, 2400), AT(4, 2432), AT(1, 256), AT(1, 96), 16,
      STEP(7, 5), 16, AT(1, 96), AT(4, 320), AT(1, 96),
      STEP(8, 8), 16, AT(1, 64), AT(1, 96), 0x40000000, 42, AT(1, 128), 16,
      STEP(9, 5), 16, AT(1, 0), AT(1, 0), AT(1, 160)};
  swl_program program;
  swl_context context;
  uint8_t *base[SWL_REGION_COUNT] = {0};
  const int32_t prompt[4] = {3, 1, 0, 2};
  static const int32_t cache_shift[2] = {37, 38};
  static const int32_t out_shift[2] = {46, 45};
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
  program.region_bytes[SWL_REGION_ARENA] = 512;
  program.region_bytes[SWL_REGION_STATE] = 128;
  program.region_bytes[SWL_REGION_PARAMS] = sizeof params;
  base[SWL_REGION_ARENA] = arena.bytes;
  base[SWL_REGION_STATE] = model_state.bytes;
  base[SWL_REGION_PARAMS] = params.bytes;
  memcpy(params.bytes, keys, sizeof params);
  memcpy(params.bytes + 2400, factors[0], 8);
  memcpy(params.bytes + 2416, cache_shift, 8);
  memcpy(params.bytes + 2432, out_shift, 8);
  if (swl_program_check(&program) != SWL_OK ||
      swl_open(&context, &program, base, no_npu, NULL) != SWL_OK ||
      swl_prompt(&context, prompt, 4) != SWL_OK || context.position != 4) {
    return 0;
  }
  memcpy(kernel_out, arena.bytes, 512);
  memcpy(kernel_out + 512, model_state.bytes, 128);
  return 640;
}

const kernel_case kernel_cases[] = {
    {"embedding", "element", 2 * WIDTH, prepare, run_embedding},
    {"rms_norm a16", "element", WIDTH, prepare, run_rms_norm},
    {"rms_norm a16 small", "element", WIDTH, prepare_small, run_rms_norm},
    {"rms_norm a8", "element", WIDTH, prepare, run_rms_norm_8},
    {"rope", "element", WIDTH, prepare, run_rope},
    {"kv_write", "element", 2 * KV_HEADS * HEAD_DIM, prepare, run_kv_write},
    {"attention a16 512", "position x head", HEADS * CONTEXT, prepare, run_attention},
    {"attention a8 18+19", "position x head", HEADS * 37, prepare, run_attention_8},
    {"attention odd width", "position x head", HEADS * 300, prepare, run_attention_odd},
    {"lut", "element", HIDDEN, prepare, run_lut},
    {"mul a16", "element", HIDDEN, prepare, run_mul},
    {"mul a8", "element", HIDDEN, prepare, run_mul_8},
    {"add", "element", WIDTH, prepare, run_add},
    {"argmax", "logit", 4096, prepare, run_argmax},
    {"sample x 8", "logit", 8 * 4096, prepare, run_sample},
    {"decode x 4", "token", 4, prepare, run_decode},
};
const uint32_t kernel_case_count = sizeof kernel_cases / sizeof kernel_cases[0];
