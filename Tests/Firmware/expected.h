/// The bytes every kernel case gave on the host, in the order of `kernel_cases`.
#ifndef EXPECTED_H
#define EXPECTED_H

#include <stdint.h>

/// One case's result.
typedef struct expected_result {
  const uint8_t *bytes;
  uint32_t count;
} expected_result;

extern const expected_result expected_results[];

#endif
