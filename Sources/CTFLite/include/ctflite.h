/// Verified access to FlatBuffers tables, as C functions.
///
/// A table is named by the byte offset of its start. Every function checks the bytes it reads with
/// FlatBuffers' own verifier first, so a damaged file gives CTFLITE_CORRUPT and never a stray read.
#ifndef CTFLITE_H
#define CTFLITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// What a look-up found.
enum ctflite_status {
  /// The field is there and its bytes were verified.
  CTFLITE_FOUND = 0,
  /// The table does not have the field; its default applies.
  CTFLITE_ABSENT = 1,
  /// The field, or what it points to, does not lie within the file or is misaligned.
  CTFLITE_CORRUPT = 2
};

/// A file's bytes, which stay the caller's.
typedef struct {
  /// The first byte, aligned as the file's widest scalar or not at all: reads are unaligned.
  const uint8_t *bytes;
  /// How many there are; below 2 GiB.
  size_t count;
} ctflite_file;

/// A verified run of elements.
typedef struct {
  /// Offset of the first element, bytes from the start of the file.
  uint32_t offset;
  /// Number of elements.
  uint32_t count;
} ctflite_run;

/// The root table of a file with a four-byte identifier; CTFLITE_ABSENT when the identifier is another.
int ctflite_root(ctflite_file file, const char *identifier, uint32_t *table);

/// The table a field points to.
int ctflite_table(ctflite_file file, uint32_t table, uint16_t slot, uint32_t *result);

/// The elements of a vector field; `element_size` is 1, 2, 4 or 8 bytes.
int ctflite_vector(
    ctflite_file file, uint32_t table, uint16_t slot, uint32_t element_size, ctflite_run *result);

/// The characters of a string field, without the terminator.
int ctflite_string(ctflite_file file, uint32_t table, uint16_t slot, ctflite_run *result);

/// Element `index` of a verified vector of tables.
int ctflite_element(ctflite_file file, ctflite_run vector, uint32_t index, uint32_t *result);

/// A scalar field of 1, 2, 4 or 8 bytes, zero-extended.
int ctflite_scalar(
    ctflite_file file, uint32_t table, uint16_t slot, uint32_t size, uint64_t *result);

#ifdef __cplusplus
}
#endif

#endif
