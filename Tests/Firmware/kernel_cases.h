/// The fixed inputs that every build of the runtime runs: the host writes down the results, the
/// sanitizers watch, the Cortex-M55 must give the same bytes.
#ifndef KERNEL_CASES_H
#define KERNEL_CASES_H

#include <stdint.h>

/// Bytes the largest result needs.
#define KERNEL_CASE_LIMIT 8192u

/// One function on one fixed input.
typedef struct kernel_case {
  const char *name;
  const char *unit;      ///< what `units` counts
  uint32_t units;
  void (*prepare)(void); ///< makes the input; not measured
  uint32_t (*run)(void); ///< runs it; returns how many bytes of `kernel_out` are its result
} kernel_case;

extern const kernel_case kernel_cases[];
extern const uint32_t kernel_case_count;

/// Where results go.
extern uint8_t *const kernel_out;

#endif
