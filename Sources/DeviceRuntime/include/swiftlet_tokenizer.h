/// The device tokenizer: text to token ids and back, from the binary form that `swiftlet compile`
/// emits (`swiftlet_tokenizer_data`; layout in Sources/Tokenizers/Tokenizer+Blob.swift).
///
/// Portable C99 without heap: the binary form is read in place, encoding works in memory that the
/// caller lends. Gives the same ids as the host's tokenizer for every sequence of bytes.
#ifndef SWIFTLET_TOKENIZER_H
#define SWIFTLET_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// What can go wrong. Results that are counts are never negative.
typedef enum swl_tokenizer_status {
  SWL_TOKENIZER_OK = 0,
  SWL_TOKENIZER_ERROR_ARGUMENT = -1, ///< a null pointer, an id outside the vocabulary, a text too long
  SWL_TOKENIZER_ERROR_DATA = -2,     ///< the data is no tokenizer, or damaged
  SWL_TOKENIZER_ERROR_VERSION = -3,  ///< the data is of another version
  SWL_TOKENIZER_ERROR_CAPACITY = -4, ///< the result does not fit the caller's buffer
  SWL_TOKENIZER_ERROR_SCRATCH = -5   ///< the scratch memory is too small for a word of the text
} swl_tokenizer_status;

/// What a token is for.
enum swl_token_type {
  SWL_TOKEN_NORMAL = 1,
  SWL_TOKEN_UNKNOWN = 2,
  SWL_TOKEN_CONTROL = 3,
  SWL_TOKEN_USER_DEFINED = 4,
  SWL_TOKEN_UNUSED = 5,
  SWL_TOKEN_BYTE = 6
};

/// Options of `swl_tokenizer_encode` and `swl_tokenizer_decode`; combine with `|`.
enum swl_tokenizer_option {
  SWL_TOKENIZER_BOS = 1,     ///< encode: start with the start token even if the model does not ask for it
  SWL_TOKENIZER_NO_BOS = 2,  ///< encode: do not start with the start token
  SWL_TOKENIZER_SPECIAL = 4, ///< encode: find control tokens in the text; decode: write their names
  SWL_TOKENIZER_CONTINUE = 8 ///< decode: the tokens continue a text, keep a space at the start
};

/// An opened tokenizer. Points into the data, which must stay in place. Fields are read-only.
typedef struct swl_tokenizer {
  const uint8_t *offsets, *pieces, *types, *byte_tokens, *sorted, *ranks, *specials, *merges, *classes;
  uint32_t count;         ///< number of tokens
  uint32_t sorted_count, special_count, merge_count, class_count;
  uint32_t longest;       ///< bytes of the longest findable piece
  uint32_t flags;
  int32_t bos, eos, unknown, padding; ///< special ids, or -1
  uint8_t kind, pre_tokenizer, id_bytes;
} swl_tokenizer;

/// Opens a tokenizer in place. Checks all that later calls rely on: afterwards none of them reads
/// outside the data or the buffers it is given, whatever the data holds.
swl_tokenizer_status swl_tokenizer_open(const void *data, size_t bytes, swl_tokenizer *tokenizer);

/// Enough scratch memory for any text of `text_bytes` bytes. Ordinary text, whose words are short,
/// needs far less: 32 bytes for each byte of its longest word (of its longest stretch without a
/// space for scored vocabularies). 0 when the size does not fit.
size_t swl_tokenizer_scratch_bytes(size_t text_bytes);

/// Writes the ids of a text. Returns how many, or a negative status.
/// `options` are those of `swl_tokenizer_option`; 0 leaves the start token to the model and takes
/// control tokens in the text for plain text.
int swl_tokenizer_encode(const swl_tokenizer *tokenizer, const char *text, size_t text_bytes,
                         int32_t *ids, size_t capacity, void *scratch, size_t scratch_bytes,
                         unsigned options);

/// The bytes that a token adds to a text: `*piece` points into the data, the result is how many.
/// Control, unknown and unused tokens have none unless `special` is not 0. Negative: a status.
/// The bytes need not be whole characters.
int swl_tokenizer_piece(const swl_tokenizer *tokenizer, int32_t id, int special, const char **piece);

/// Writes the bytes of some tokens, without the space that encoding put before the text. No zero is
/// added. Returns how many bytes, or a negative status.
int swl_tokenizer_decode(const swl_tokenizer *tokenizer, const int32_t *ids, size_t count,
                         char *text, size_t capacity, unsigned options);

#ifdef __cplusplus
}
#endif
#endif
