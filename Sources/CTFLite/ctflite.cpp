// Table look-ups over FlatBuffers' headers, each behind its verifier.

#include "ctflite.h"

#include <flatbuffers/flatbuffers.h>

namespace {

using flatbuffers::Table;
using flatbuffers::uoffset_t;
using flatbuffers::Verifier;
using flatbuffers::voffset_t;

// One look-up needs one table and no nesting; the caller bounds the number of look-ups.
constexpr uoffset_t kDepth = 8;
constexpr uoffset_t kTables = 8;

// `Table` has no public way to check its vtable; a derived type reaches the protected helper.
struct Checked : Table {
  bool Start(Verifier &verifier) const { return VerifyTableStart(verifier); }
};

Verifier verifier(ctflite_file file) {
  return Verifier(file.bytes, file.count, kDepth, kTables, true);
}

bool sound(ctflite_file file) {
  return file.bytes != nullptr && file.count >= 8 && file.count < FLATBUFFERS_MAX_BUFFER_SIZE;
}

// The table at an offset, when its vtable lies within the file and leaves room for its fields.
const Checked *at(ctflite_file file, uint32_t offset) {
  if (!sound(file) || offset >= file.count || offset % 4 != 0) return nullptr;
  auto check = verifier(file);
  auto table = reinterpret_cast<const Checked *>(file.bytes + offset);
  return table->Start(check) ? table : nullptr;
}

uint32_t offset_of(ctflite_file file, const void *pointer) {
  return static_cast<uint32_t>(static_cast<const uint8_t *>(pointer) - file.bytes);
}

// Follows an offset field. The target is within the file, though nothing of it is verified yet.
int follow(ctflite_file file, uint32_t table, uint16_t slot, uint32_t *target) {
  auto start = at(file, table);
  if (!start) return CTFLITE_CORRUPT;
  auto field = start->GetOptionalFieldOffset(static_cast<voffset_t>(4 + 2 * slot));
  if (field == 0) return CTFLITE_ABSENT;
  auto check = verifier(file);
  auto base = file.bytes + table;
  if (!check.VerifyField<uoffset_t>(base, field, sizeof(uoffset_t))) return CTFLITE_CORRUPT;
  uint64_t reach = uint64_t(table) + field + flatbuffers::ReadScalar<uoffset_t>(base + field);
  if (reach == uint64_t(table) + field || reach + 4 > file.count) return CTFLITE_CORRUPT;
  *target = static_cast<uint32_t>(reach);
  return CTFLITE_FOUND;
}

}  // namespace

int ctflite_root(ctflite_file file, const char *identifier, uint32_t *table) {
  if (!sound(file)) return CTFLITE_CORRUPT;
  if (!flatbuffers::BufferHasIdentifier(file.bytes, identifier)) return CTFLITE_ABSENT;
  uint32_t offset = flatbuffers::ReadScalar<uoffset_t>(file.bytes);
  if (!at(file, offset)) return CTFLITE_CORRUPT;
  *table = offset;
  return CTFLITE_FOUND;
}

int ctflite_table(ctflite_file file, uint32_t table, uint16_t slot, uint32_t *result) {
  uint32_t target;
  int status = follow(file, table, slot, &target);
  if (status != CTFLITE_FOUND) return status;
  if (!at(file, target)) return CTFLITE_CORRUPT;
  *result = target;
  return CTFLITE_FOUND;
}

int ctflite_vector(
    ctflite_file file, uint32_t table, uint16_t slot, uint32_t element_size,
    ctflite_run *result) {
  uint32_t target;
  int status = follow(file, table, slot, &target);
  if (status != CTFLITE_FOUND) return status;
  auto check = verifier(file);
  size_t end = 0;
  if (!check.VerifyVectorOrString(file.bytes + target, element_size, &end) || end > file.count) {
    return CTFLITE_CORRUPT;
  }
  *result = {target + 4, flatbuffers::ReadScalar<uoffset_t>(file.bytes + target)};
  return CTFLITE_FOUND;
}

int ctflite_string(ctflite_file file, uint32_t table, uint16_t slot, ctflite_run *result) {
  uint32_t target;
  int status = follow(file, table, slot, &target);
  if (status != CTFLITE_FOUND) return status;
  auto check = verifier(file);
  auto text = reinterpret_cast<const flatbuffers::String *>(file.bytes + target);
  if (!check.VerifyString(text)) return CTFLITE_CORRUPT;
  *result = {offset_of(file, text) + 4, text->size()};
  return CTFLITE_FOUND;
}

int ctflite_element(ctflite_file file, ctflite_run vector, uint32_t index, uint32_t *result) {
  uint64_t cell = uint64_t(vector.offset) + uint64_t(index) * 4;
  if (index >= vector.count || !sound(file) || cell + 4 > file.count) return CTFLITE_CORRUPT;
  uint64_t reach = cell + flatbuffers::ReadScalar<uoffset_t>(file.bytes + cell);
  if (reach == cell || reach + 4 > file.count || !at(file, static_cast<uint32_t>(reach))) {
    return CTFLITE_CORRUPT;
  }
  *result = static_cast<uint32_t>(reach);
  return CTFLITE_FOUND;
}

int ctflite_scalar(
    ctflite_file file, uint32_t table, uint16_t slot, uint32_t size, uint64_t *result) {
  auto start = at(file, table);
  if (!start) return CTFLITE_CORRUPT;
  auto field = start->GetOptionalFieldOffset(static_cast<voffset_t>(4 + 2 * slot));
  if (field == 0) return CTFLITE_ABSENT;
  auto check = verifier(file);
  auto base = file.bytes + table;
  if (!check.VerifyFieldStruct(base, field, size, 1)) return CTFLITE_CORRUPT;
  switch (size) {
    case 1: *result = flatbuffers::ReadScalar<uint8_t>(base + field); break;
    case 2: *result = flatbuffers::ReadScalar<uint16_t>(base + field); break;
    case 4: *result = flatbuffers::ReadScalar<uint32_t>(base + field); break;
    case 8: *result = flatbuffers::ReadScalar<uint64_t>(base + field); break;
    default: return CTFLITE_CORRUPT;
  }
  return CTFLITE_FOUND;
}
