#include "swiftlet_tokenizer.h"

#include <limits.h>
#include <string.h>

/* The algorithms are those of Sources/Tokenizers (SymbolMerger, PreTokenizer, Tokenizer+Encode), and
 * must stay equal to them for every sequence of bytes. */

#define NONE UINT32_MAX
#define HEADER_BYTES 96u
#define CHECKED_FROM 12u
#define SECTIONS_AT 48u
#define MOST_TOKENS (UINT32_C(1) << 20)
#define MOST_MERGES (UINT32_C(1) << 21)

enum { KIND_SCORES = 1, KIND_MERGES = 2 };
enum { PRE_NONE, PRE_GPT2, PRE_SMOLLM, PRE_LLAMA3, PRE_QWEN2 };
enum { PREFIX_NEVER, PREFIX_ALWAYS, PREFIX_UNLESS_PRESENT, PREFIX_FIRST_UNLESS_PRESENT };
enum { CLASS_OTHER, CLASS_LETTER, CLASS_NUMBER, CLASS_SPACE };
enum {
  TRAIT_BYTE_LEVEL = 1 << 0,
  TRAIT_LOW_LINE_IS_SPACE = 1 << 1,
  TRAIT_CUTS_BEFORE_SPACES = 1 << 2,
  TRAIT_CUTS_EVERY_SPACE = 1 << 3,
  TRAIT_WHOLE_WORD_FIRST = 1 << 4,
  TRAIT_EMITS_UNKNOWN = 1 << 5,
  TRAIT_FUSES_UNKNOWN = 1 << 6
};
#define FLAG_ADDS_BOS (UINT32_C(1) << 16)

static uint32_t read16(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8; }
static uint32_t read32(const uint8_t *p) { return read16(p) | read16(p + 2) << 16; }

/* Entry `index` of an array of ids. */
static uint32_t read_id(const swl_tokenizer *t, const uint8_t *array, uint32_t index) {
  return t->id_bytes == 2 ? read16(array + (size_t)index * 2) : read32(array + (size_t)index * 4);
}

static unsigned prefix_of(const swl_tokenizer *t) { return t->flags >> 8 & 3u; }

/* ---- Opening ------------------------------------------------------------------------------- */

/* CRC-32 (ISO-HDLC) by half bytes: a table of 16 words costs little flash. */
static uint32_t crc32(const uint8_t *bytes, size_t count) {
  static const uint32_t table[16] = {
      0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u,
      0x4DB26158u, 0x5005713Cu, 0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu,
      0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu};
  uint32_t value = NONE;
  for (size_t i = 0; i < count; i++) {
    value ^= bytes[i];
    value = value >> 4 ^ table[value & 15u];
    value = value >> 4 ^ table[value & 15u];
  }
  return ~value;
}

/* The address of section `index`, or null unless `count` entries of `size` bytes lie within. */
static const uint8_t *section(const uint8_t *data, uint32_t total, unsigned index, uint32_t count,
                              uint32_t size) {
  uint32_t offset = read32(data + SECTIONS_AT + 4u * index);
  uint64_t need = (uint64_t)count * size;
  if (offset < HEADER_BYTES || offset > total || need > total - offset) {
    return NULL;
  }
  return data + offset;
}

static int ids_are_valid(const swl_tokenizer *t, const uint8_t *array, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    if (read_id(t, array, i) >= t->count) {
      return 0;
    }
  }
  return 1;
}

static int special_id(const uint8_t *p, uint32_t count, int32_t *id) {
  uint32_t raw = read32(p);
  if (raw != NONE && raw >= count) {
    return 0;
  }
  *id = raw == NONE ? -1 : (int32_t)raw;
  return 1;
}

swl_tokenizer_status swl_tokenizer_open(const void *pointer, size_t bytes, swl_tokenizer *t) {
  const uint8_t *data = (const uint8_t *)pointer;
  if (data == NULL || t == NULL) {
    return SWL_TOKENIZER_ERROR_ARGUMENT;
  }
  memset(t, 0, sizeof *t);
  if (bytes < HEADER_BYTES || memcmp(data, "SWTK", 4) != 0) {
    return SWL_TOKENIZER_ERROR_DATA;
  }
  if (data[4] != 1) {
    return SWL_TOKENIZER_ERROR_VERSION;
  }
  uint32_t total = read32(data + 12);
  if (total != bytes || read32(data + 8) != crc32(data + CHECKED_FROM, total - CHECKED_FROM)) {
    return SWL_TOKENIZER_ERROR_DATA;
  }
  swl_tokenizer r;
  memset(&r, 0, sizeof r);
  r.kind = data[5];
  r.pre_tokenizer = data[6];
  r.id_bytes = data[7];
  r.flags = read32(data + 16);
  r.count = read32(data + 20);
  r.merge_count = read32(data + 40);
  r.longest = read32(data + 44);
  r.sorted_count = read32(data + 84);
  r.special_count = read32(data + 88);
  r.class_count = read32(data + 92);
  if ((r.kind != KIND_SCORES && r.kind != KIND_MERGES) || r.pre_tokenizer > PRE_QWEN2 ||
      (r.id_bytes != 2 && r.id_bytes != 4) || r.count == 0 || r.count > MOST_TOKENS ||
      r.merge_count > MOST_MERGES || r.sorted_count > r.count || r.special_count > r.count ||
      (r.pre_tokenizer != PRE_NONE && r.class_count == 0) ||
      (r.kind == KIND_SCORES && (r.flags & TRAIT_BYTE_LEVEL)) ||
      !special_id(data + 24, r.count, &r.bos) || !special_id(data + 28, r.count, &r.eos) ||
      !special_id(data + 32, r.count, &r.unknown) || !special_id(data + 36, r.count, &r.padding)) {
    return SWL_TOKENIZER_ERROR_DATA;
  }
  r.offsets = section(data, total, 0, r.count + 1, 4);
  if (r.offsets == NULL) {
    return SWL_TOKENIZER_ERROR_DATA;
  }
  r.pieces = section(data, total, 1, read32(r.offsets + (size_t)r.count * 4), 1);
  r.types = section(data, total, 2, r.count, 1);
  r.byte_tokens = section(data, total, 3, 256, 4);
  r.sorted = section(data, total, 4, r.sorted_count, r.id_bytes);
  r.ranks = section(data, total, 5, r.kind == KIND_SCORES ? r.count : 0, r.id_bytes);
  r.specials = section(data, total, 6, r.special_count, r.id_bytes);
  r.merges = section(data, total, 7, r.merge_count, 4u * r.id_bytes);
  r.classes = section(data, total, 8, r.class_count, 4);
  if (!r.pieces || !r.types || !r.byte_tokens || !r.sorted || !r.ranks || !r.specials ||
      !r.merges || !r.classes) {
    return SWL_TOKENIZER_ERROR_DATA;
  }
  /* Ascending offsets keep each piece within the section, as the last one does. */
  for (uint32_t i = 0; i < r.count; i++) {
    if (read32(r.offsets + (size_t)i * 4) > read32(r.offsets + (size_t)i * 4 + 4)) {
      return SWL_TOKENIZER_ERROR_DATA;
    }
  }
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t id = read32(r.byte_tokens + i * 4);
    if (id != NONE && id >= r.count) {
      return SWL_TOKENIZER_ERROR_DATA;
    }
  }
  if (!ids_are_valid(&r, r.sorted, r.sorted_count) ||
      !ids_are_valid(&r, r.specials, r.special_count)) {
    return SWL_TOKENIZER_ERROR_DATA;
  }
  for (uint32_t i = 0; i < r.merge_count; i++) {
    if (read_id(&r, r.merges, i * 4 + 3) >= r.count) {
      return SWL_TOKENIZER_ERROR_DATA;
    }
  }
  for (uint32_t i = 0; i < r.special_count; i++) {
    uint32_t id = read_id(&r, r.specials, i);
    if (read32(r.offsets + (size_t)id * 4) == read32(r.offsets + (size_t)id * 4 + 4)) {
      return SWL_TOKENIZER_ERROR_DATA; /* an empty special token would be found for ever */
    }
  }
  *t = r;
  return SWL_TOKENIZER_OK;
}

/* ---- Looking up ---------------------------------------------------------------------------- */

static uint32_t piece_of(const swl_tokenizer *t, uint32_t id, const uint8_t **bytes) {
  uint32_t start = read32(t->offsets + (size_t)id * 4);
  *bytes = t->pieces + start;
  return read32(t->offsets + (size_t)id * 4 + 4) - start;
}

/* The normal token with these bytes, or NONE. */
static uint32_t find_piece(const swl_tokenizer *t, const uint8_t *key, size_t length) {
  if (length == 0 || length > t->longest) {
    return NONE;
  }
  uint32_t low = 0, high = t->sorted_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    uint32_t id = read_id(t, t->sorted, middle);
    const uint8_t *bytes;
    uint32_t count = piece_of(t, id, &bytes);
    int order = memcmp(key, bytes, count < length ? count : length);
    if (order == 0) {
      if (count == length) {
        return id;
      }
      order = length < count ? -1 : 1;
    }
    if (order < 0) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return NONE;
}

/* The rank of merging two tokens, or NONE; sets `result`. */
static uint32_t find_merge(const swl_tokenizer *t, uint32_t left, uint32_t right,
                           uint32_t *result) {
  uint32_t low = 0, high = t->merge_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    uint32_t a = read_id(t, t->merges, middle * 4);
    uint32_t b = read_id(t, t->merges, middle * 4 + 1);
    if (a == left && b == right) {
      *result = read_id(t, t->merges, middle * 4 + 3);
      return read_id(t, t->merges, middle * 4 + 2);
    }
    if (left < a || (left == a && right < b)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return NONE;
}

static uint32_t byte_token(const swl_tokenizer *t, uint8_t byte) {
  return read32(t->byte_tokens + (size_t)byte * 4);
}

static int class_of(const swl_tokenizer *t, uint32_t value) {
  if (value < 0x80) {
    if ((value | 0x20) - 'a' < 26) {
      return CLASS_LETTER;
    }
    if (value == ' ' || value - 9 < 5) {
      return CLASS_SPACE;
    }
    return value - '0' < 10 ? CLASS_NUMBER : CLASS_OTHER;
  }
  uint32_t low = 0, high = t->class_count;
  while (high - low > 1) {
    uint32_t middle = low + (high - low) / 2;
    if (read32(t->classes + (size_t)middle * 4) >> 2 <= value) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return (int)(read32(t->classes + (size_t)low * 4) & 3);
}

/* Reads the character at `p`, which is before `end`; returns its length in bytes. A byte that starts
 * no complete sequence is one character, U+FFFD. */
static size_t read_character(const uint8_t *p, const uint8_t *end, uint32_t *value) {
  uint32_t lead = p[0];
  size_t length;
  *value = lead;
  if (lead < 0x80) {
    return 1;
  }
  if (lead >= 0xC0 && lead < 0xE0) {
    length = 2;
    lead &= 0x1F;
  } else if (lead >= 0xE0 && lead < 0xF0) {
    length = 3;
    lead &= 0x0F;
  } else if (lead >= 0xF0 && lead < 0xF8) {
    length = 4;
    lead &= 0x07;
  } else {
    *value = 0xFFFD;
    return 1;
  }
  *value = 0xFFFD;
  if (length > (size_t)(end - p)) {
    return 1;
  }
  for (size_t i = 1; i < length; i++) {
    if ((p[i] & 0xC0) != 0x80) {
      return 1;
    }
    lead = lead << 6 | (p[i] & 0x3Fu);
  }
  *value = lead;
  return length;
}

/* ---- Cutting text into words --------------------------------------------------------------- */

static const uint8_t *run_end(const swl_tokenizer *t, const uint8_t *p, const uint8_t *end,
                              int kind) {
  while (p < end) {
    uint32_t value;
    size_t length = read_character(p, end, &value);
    if (class_of(t, value) != kind) {
      break;
    }
    p += length;
  }
  return p;
}

/* The length of 's, 't, 're, … at `p`, or 0. */
static size_t contraction(const uint8_t *p, const uint8_t *end, int any_case) {
  if (p[0] != '\'' || end - p < 2) {
    return 0;
  }
  uint8_t fold = any_case ? 0x20 : 0;
  uint8_t first = (uint8_t)(p[1] < 0x80 ? p[1] | fold : p[1]);
  switch (first) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return 2;
    case 'r':
    case 'v':
    case 'l': {
      if (end - p < 3) {
        return 0;
      }
      uint8_t second = (uint8_t)(p[2] < 0x80 ? p[2] | fold : p[2]);
      return second == (first == 'l' ? 'l' : 'e') ? 3 : 0;
    }
    default: /* U+017F, the long s, is an s when case does not matter */
      return any_case && first == 0xC5 && end - p >= 3 && p[2] == 0xBF ? 3 : 0;
  }
}

static const uint8_t *space_end(const swl_tokenizer *t, const uint8_t *start, const uint8_t *end,
                                int alone_numbers) {
  const uint8_t *p = start, *last = start;
  while (p < end) {
    uint32_t value;
    size_t length = read_character(p, end, &value);
    int kind = class_of(t, value);
    if (kind != CLASS_SPACE) {
      if (alone_numbers && kind == CLASS_NUMBER) {
        return p;
      }
      return last > start ? last : p;
    }
    last = p;
    p += length;
  }
  return p;
}

static const uint8_t *gpt2_end(const swl_tokenizer *t, const uint8_t *start, const uint8_t *end,
                               int alone_numbers) {
  size_t length = contraction(start, end, 0);
  if (length > 0) {
    return start + length;
  }
  const uint8_t *body = start[0] == ' ' && end - start > 1 ? start + 1 : start;
  uint32_t value;
  length = read_character(body, end, &value);
  int kind = class_of(t, value);
  if (kind == CLASS_SPACE) {
    return space_end(t, start, end, alone_numbers);
  }
  if (kind == CLASS_NUMBER && alone_numbers) {
    return body > start ? body : start + length;
  }
  return run_end(t, body + length, end, kind);
}

static const uint8_t *llama3_end(const swl_tokenizer *t, const uint8_t *start, const uint8_t *end,
                                 int digits) {
  size_t length = contraction(start, end, 1);
  if (length > 0) {
    return start + length;
  }
  uint32_t first, value;
  const uint8_t *second = start + read_character(start, end, &first);
  int kind = class_of(t, first);
  if (kind == CLASS_LETTER) {
    return run_end(t, second, end, CLASS_LETTER);
  }
  if (kind == CLASS_NUMBER) {
    const uint8_t *p = second;
    for (int taken = 1; taken < digits && p < end; taken++) {
      length = read_character(p, end, &value);
      if (class_of(t, value) != CLASS_NUMBER) {
        break;
      }
      p += length;
    }
    return p;
  }
  if (second < end && first != '\n' && first != '\r') {
    length = read_character(second, end, &value);
    if (class_of(t, value) == CLASS_LETTER) {
      return run_end(t, second + length, end, CLASS_LETTER);
    }
  }
  const uint8_t *body = start[0] == ' ' && second < end ? second : start;
  (void)read_character(body, end, &value);
  if (class_of(t, value) == CLASS_OTHER) {
    const uint8_t *p = run_end(t, body, end, CLASS_OTHER);
    while (p < end && (*p == '\n' || *p == '\r')) {
      p++;
    }
    return p;
  }
  for (const uint8_t *p = run_end(t, start, end, CLASS_SPACE); p > start; p--) {
    if (p[-1] == '\n' || p[-1] == '\r') {
      return p;
    }
  }
  return space_end(t, start, end, 0);
}

static const uint8_t *word_end(const swl_tokenizer *t, const uint8_t *start, const uint8_t *end) {
  switch (t->pre_tokenizer) {
    case PRE_GPT2: return gpt2_end(t, start, end, 0);
    case PRE_SMOLLM: return gpt2_end(t, start, end, 1);
    case PRE_LLAMA3: return llama3_end(t, start, end, 3);
    case PRE_QWEN2: return llama3_end(t, start, end, 1);
    default: return end;
  }
}

/* ---- Merging ------------------------------------------------------------------------------- */

/* What one call of encode works with. */
typedef struct encoder {
  const swl_tokenizer *t;
  int32_t *ids;
  size_t capacity, written;
  uint8_t *scratch;
  size_t scratch_bytes;
  int status; /* the first error; later work is skipped */
  /* The current word's symbols: a list linked by index, the rank of merging each with the next, and
   * a tournament tree over the ranks. */
  const uint8_t *word;
  uint32_t length, count;
  uint32_t *start, *token, *previous, *next, *rank, *result, *tree;
} encoder;

static void emit(encoder *e, uint32_t id) {
  if (e->written >= e->capacity) {
    e->status = e->status ? e->status : SWL_TOKENIZER_ERROR_CAPACITY;
    return;
  }
  e->ids[e->written++] = (int32_t)id;
}

/* Makes room for the symbols of a word; `used` bytes of the scratch memory are taken. */
static int begin_word(encoder *e, const uint8_t *word, size_t length, size_t used) {
  size_t pad = (4u - ((uintptr_t)(e->scratch + used) & 3u)) & 3u;
  if (length > UINT32_MAX / 64 || used + pad > e->scratch_bytes ||
      (e->scratch_bytes - used - pad) / (7 * sizeof(uint32_t)) < length) {
    e->status = SWL_TOKENIZER_ERROR_SCRATCH;
    return 0;
  }
  uint32_t *field = (uint32_t *)(void *)(e->scratch + used + pad);
  e->word = word;
  e->length = (uint32_t)length;
  e->count = 0;
  e->start = field;
  e->token = field + length;
  e->previous = field + 2 * length;
  e->next = field + 3 * length;
  e->rank = field + 4 * length;
  e->result = field + 5 * length;
  e->tree = field + 6 * length;
  return 1;
}

static void add_symbol(encoder *e, size_t start, uint32_t token) {
  e->start[e->count] = (uint32_t)start;
  e->token[e->count++] = token;
}

static void add_unknown(encoder *e) {
  uint32_t unknown = (uint32_t)e->t->unknown;
  if (!(e->t->flags & TRAIT_EMITS_UNKNOWN) || e->t->unknown < 0) {
    return;
  }
  if ((e->t->flags & TRAIT_FUSES_UNKNOWN) && e->count > 0 && e->token[e->count - 1] == unknown) {
    return;
  }
  add_symbol(e, 0, unknown);
}

/* Sets the rank of merging symbol `i` with the next. */
static void rate(encoder *e, uint32_t i) {
  uint32_t right = e->next[i];
  e->rank[i] = NONE;
  if (right == NONE) {
    return;
  }
  if (e->t->kind == KIND_MERGES) {
    e->rank[i] = find_merge(e->t, e->token[i], e->token[right], &e->result[i]);
    return;
  }
  uint32_t end = e->next[right] == NONE ? e->length : e->start[e->next[right]];
  uint32_t id = find_piece(e->t, e->word + e->start[i], end - e->start[i]);
  if (id != NONE) {
    e->rank[i] = read_id(e->t, e->t->ranks, id);
    e->result[i] = id;
  }
}

static uint32_t winner(const encoder *e, uint32_t node) {
  return node >= e->count ? node - e->count : e->tree[node];
}

static void play(encoder *e, uint32_t node) {
  uint32_t a = winner(e, node * 2), b = winner(e, node * 2 + 1);
  uint32_t ra = e->rank[a], rb = e->rank[b];
  e->tree[node] = ra < rb || (ra == rb && a < b) ? a : b;
}

static void update(encoder *e, uint32_t symbol) {
  for (uint32_t node = (symbol + e->count) / 2; node >= 1; node /= 2) {
    play(e, node);
  }
}

static void merge_symbols(encoder *e) {
  uint32_t n = e->count;
  for (uint32_t i = 0; i < n; i++) {
    e->previous[i] = i == 0 ? NONE : i - 1;
    e->next[i] = i + 1 == n ? NONE : i + 1;
  }
  for (uint32_t i = 0; i < n; i++) {
    rate(e, i);
  }
  if (n < 2) {
    return;
  }
  for (uint32_t node = n - 1; node >= 1; node--) {
    play(e, node);
  }
  for (;;) {
    uint32_t left = e->tree[1];
    if (e->rank[left] == NONE) {
      return;
    }
    uint32_t right = e->next[left];
    e->token[left] = e->result[left];
    e->next[left] = e->next[right];
    if (e->next[left] != NONE) {
      e->previous[e->next[left]] = left;
    }
    e->rank[right] = NONE;
    update(e, right);
    rate(e, left);
    update(e, left);
    if (e->previous[left] != NONE) {
      rate(e, e->previous[left]);
      update(e, e->previous[left]);
    }
  }
}

static int has_byte_tokens(const swl_tokenizer *t, const uint8_t *p, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (byte_token(t, p[i]) == NONE) {
      return 0;
    }
  }
  return 1;
}

static void emit_symbols(encoder *e) {
  for (uint32_t i = e->count ? 0 : NONE; i != NONE; i = e->next[i]) {
    if (e->token[i] != NONE) {
      emit(e, e->token[i]);
      continue;
    }
    /* Scored vocabularies: one character that has no piece and never merged. */
    uint32_t end = e->next[i] == NONE ? e->length : e->start[e->next[i]];
    const uint8_t *p = e->word + e->start[i];
    size_t count = end - e->start[i];
    if (has_byte_tokens(e->t, p, count)) {
      for (size_t k = 0; k < count; k++) {
        emit(e, byte_token(e->t, p[k]));
      }
    } else if ((e->t->flags & TRAIT_EMITS_UNKNOWN) && e->t->unknown >= 0) {
      emit(e, (uint32_t)e->t->unknown);
    }
  }
}

/* A word of a byte-level vocabulary: each byte is a symbol. */
static void encode_bytes(encoder *e, const uint8_t *word, size_t length) {
  if (e->t->flags & TRAIT_WHOLE_WORD_FIRST) {
    uint32_t id = find_piece(e->t, word, length);
    if (id != NONE) {
      emit(e, id);
      return;
    }
  }
  if (!begin_word(e, word, length, 0)) {
    return;
  }
  for (size_t i = 0; i < length; i++) {
    uint32_t id = byte_token(e->t, word[i]);
    if (id != NONE) {
      add_symbol(e, 0, id);
    } else {
      add_unknown(e);
    }
  }
  merge_symbols(e);
  emit_symbols(e);
}

/* A word at the start of the scratch memory: each character is a symbol. */
static void encode_characters(encoder *e, size_t length) {
  const uint8_t *word = e->scratch;
  if (!begin_word(e, word, length, length)) {
    return;
  }
  if (e->t->kind == KIND_MERGES && (e->t->flags & TRAIT_WHOLE_WORD_FIRST)) {
    uint32_t id = find_piece(e->t, word, length);
    if (id != NONE) {
      emit(e, id);
      return;
    }
  }
  for (size_t i = 0; i < length;) {
    uint32_t value;
    size_t count = read_character(word + i, word + length, &value);
    uint32_t id = find_piece(e->t, word + i, count);
    if (id != NONE || e->t->kind == KIND_SCORES) {
      add_symbol(e, i, id);
    } else if (has_byte_tokens(e->t, word + i, count)) {
      for (size_t k = 0; k < count; k++) {
        add_symbol(e, 0, byte_token(e->t, word[i + k]));
      }
    } else {
      add_unknown(e);
    }
    i += count;
  }
  merge_symbols(e);
  emit_symbols(e);
}

/* ---- Text ---------------------------------------------------------------------------------- */

static int is_low_line(const swl_tokenizer *t, const uint8_t *p, const uint8_t *end) {
  return (t->flags & TRAIT_LOW_LINE_IS_SPACE) && end - p >= 3 && p[0] == 0xE2 && p[1] == 0x96 &&
         p[2] == 0x81;
}

/* A run of text without special tokens, not empty. */
static void encode_run(encoder *e, const uint8_t *p, const uint8_t *end, int is_first) {
  const swl_tokenizer *t = e->t;
  if (t->flags & TRAIT_BYTE_LEVEL) {
    while (p < end && e->status == 0) {
      const uint8_t *stop = word_end(t, p, end);
      encode_bytes(e, p, (size_t)(stop - p));
      p = stop;
    }
    return;
  }
  size_t length = 0;
  int has_space = p[0] == ' ' || is_low_line(t, p, end);
  unsigned prefix = prefix_of(t);
  if (prefix == PREFIX_ALWAYS || (prefix == PREFIX_UNLESS_PRESENT && !has_space) ||
      (prefix == PREFIX_FIRST_UNLESS_PRESENT && is_first && !has_space)) {
    if (e->scratch_bytes == 0) {
      e->status = SWL_TOKENIZER_ERROR_SCRATCH;
      return;
    }
    e->scratch[length++] = ' ';
  }
  while (p < end && e->status == 0) {
    uint8_t byte = *p;
    size_t taken = 1;
    if (byte == 0xE2 && is_low_line(t, p, end)) {
      byte = ' ';
      taken = 3;
    }
    if (byte == ' ' && length > 0 &&
        ((t->flags & TRAIT_CUTS_EVERY_SPACE) ||
         ((t->flags & TRAIT_CUTS_BEFORE_SPACES) && e->scratch[length - 1] != ' '))) {
      encode_characters(e, length);
      length = 0;
    }
    if (length >= e->scratch_bytes) {
      e->status = e->status ? e->status : SWL_TOKENIZER_ERROR_SCRATCH;
      return;
    }
    e->scratch[length++] = byte;
    p += taken;
  }
  if (length > 0 && e->status == 0) {
    encode_characters(e, length);
  }
}

/* The special token at `p`, or NONE; sets its length. The longest wins. */
static uint32_t special_at(const swl_tokenizer *t, const uint8_t *p, const uint8_t *end,
                           int control, uint32_t *length) {
  const uint8_t *bytes;
  uint32_t low = 0, high = t->special_count;
  while (low < high) { /* the first entry that starts with this byte or a later one */
    uint32_t middle = low + (high - low) / 2;
    (void)piece_of(t, read_id(t, t->specials, middle), &bytes);
    if (bytes[0] < p[0]) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  for (; low < t->special_count; low++) {
    uint32_t id = read_id(t, t->specials, low);
    uint32_t count = piece_of(t, id, &bytes);
    if (bytes[0] != p[0]) {
      break;
    }
    if ((control || t->types[id] == SWL_TOKEN_USER_DEFINED) && count <= (size_t)(end - p) &&
        memcmp(bytes, p, count) == 0) {
      *length = count;
      return id;
    }
  }
  return NONE;
}

size_t swl_tokenizer_scratch_bytes(size_t text_bytes) {
  return text_bytes > SIZE_MAX / 32 - 2 ? 0 : (text_bytes + 2) * 32;
}

int swl_tokenizer_encode(const swl_tokenizer *t, const char *text, size_t text_bytes, int32_t *ids,
                         size_t capacity, void *scratch, size_t scratch_bytes, unsigned options) {
  if (t == NULL || t->types == NULL || (text == NULL && text_bytes > 0) ||
      (ids == NULL && capacity > 0) || (scratch == NULL && scratch_bytes > 0) ||
      text_bytes > INT_MAX / 4) {
    return SWL_TOKENIZER_ERROR_ARGUMENT;
  }
  encoder e;
  memset(&e, 0, sizeof e);
  e.t = t;
  e.ids = ids;
  e.capacity = capacity;
  e.scratch = (uint8_t *)scratch;
  e.scratch_bytes = scratch_bytes;
  int bos = (options & SWL_TOKENIZER_BOS) ||
            ((t->flags & FLAG_ADDS_BOS) && !(options & SWL_TOKENIZER_NO_BOS));
  if (bos && t->bos >= 0) {
    emit(&e, (uint32_t)t->bos);
  }
  const uint8_t *p = (const uint8_t *)text;
  const uint8_t *end = text_bytes > 0 ? p + text_bytes : p, *run = p;
  int is_first = 1;
  while (p < end && e.status == 0) {
    uint32_t length = 0;
    uint32_t id = t->special_count == 0
                      ? NONE
                      : special_at(t, p, end, (options & SWL_TOKENIZER_SPECIAL) != 0, &length);
    if (id == NONE) {
      p++;
      continue;
    }
    if (p > run) {
      encode_run(&e, run, p, is_first);
    }
    if (e.status == 0) {
      emit(&e, id);
    }
    p += length;
    run = p;
    is_first = 0;
  }
  if (run < end && e.status == 0) {
    encode_run(&e, run, end, is_first);
  }
  return e.status ? e.status : (int)e.written;
}

/* ---- Decoding ------------------------------------------------------------------------------ */

int swl_tokenizer_piece(const swl_tokenizer *t, int32_t id, int special, const char **piece) {
  if (t == NULL || t->types == NULL || piece == NULL || id < 0 || (uint32_t)id >= t->count) {
    return SWL_TOKENIZER_ERROR_ARGUMENT;
  }
  const uint8_t *bytes;
  uint32_t length = piece_of(t, (uint32_t)id, &bytes);
  uint8_t type = t->types[id];
  *piece = (const char *)bytes;
  if (!special && type != SWL_TOKEN_NORMAL && type != SWL_TOKEN_USER_DEFINED &&
      type != SWL_TOKEN_BYTE) {
    return 0;
  }
  return length > INT_MAX ? SWL_TOKENIZER_ERROR_DATA : (int)length;
}

int swl_tokenizer_decode(const swl_tokenizer *t, const int32_t *ids, size_t count, char *text,
                         size_t capacity, unsigned options) {
  if (t == NULL || (ids == NULL && count > 0) || (text == NULL && capacity > 0) ||
      capacity > INT_MAX) {
    return SWL_TOKENIZER_ERROR_ARGUMENT;
  }
  unsigned prefix = prefix_of(t);
  int pending = !(options & SWL_TOKENIZER_CONTINUE) && prefix != PREFIX_NEVER;
  size_t written = 0;
  for (size_t i = 0; i < count; i++) {
    const char *piece;
    int length = swl_tokenizer_piece(t, ids[i], (options & SWL_TOKENIZER_SPECIAL) != 0, &piece);
    if (length < 0) {
      return length;
    }
    uint8_t type = t->types[ids[i]];
    if (type == SWL_TOKEN_CONTROL || type == SWL_TOKEN_USER_DEFINED) {
      if (prefix == PREFIX_ALWAYS || prefix == PREFIX_UNLESS_PRESENT) {
        pending = 1; /* encoding puts a space after these too */
      } else if (ids[i] != t->bos) {
        pending = 0; /* after the start token the text is still to start */
      }
    } else if (pending && length > 0) {
      if (piece[0] == ' ') {
        piece++;
        length--;
      }
      pending = 0;
    }
    if ((size_t)length > capacity - written) {
      return SWL_TOKENIZER_ERROR_CAPACITY;
    }
    if (length > 0) {
      memcpy(text + written, piece, (size_t)length);
      written += (size_t)length;
    }
  }
  return (int)written;
}
