/// The NPU callback by Arm's bare-metal Ethos-U core driver. Compiled only with
/// SWL_USE_ETHOSU_DRIVER defined and the driver's `include` folder on the include path.
///
/// Before `swl_open`, firmware initialises the driver (`ethosu_init`) and its interrupt. Give the
/// driver no fast memory: with one, it would replace base pointer 2, which is that of the near weights.
///
/// Data cache: define SWL_CACHE_CLEAN(address, bytes) and SWL_CACHE_INVALIDATE(address, bytes), for
/// example as CMSIS' SCB_CleanDCache_by_Addr and SCB_InvalidateDCache_by_Addr, when arena or state are
/// cacheable. The regions then have to start and end on cache lines (32 bytes on Cortex-M55).
#ifdef SWL_USE_ETHOSU_DRIVER

#include "ethosu_driver.h"
#include "swl_npu_ethosu.h"

#ifndef SWL_CACHE_CLEAN
#define SWL_CACHE_CLEAN(address, bytes) ((void)(address), (void)(bytes))
#endif
#ifndef SWL_CACHE_INVALIDATE
#define SWL_CACHE_INVALIDATE(address, bytes) ((void)(address), (void)(bytes))
#endif

int swl_npu_run_ethosu(struct swl_context *context, const swl_job *job) {
  uint8_t *pointers[SWL_BASE_COUNT];
  uint64_t base[SWL_BASE_COUNT];
  size_t bytes[SWL_BASE_COUNT];
  const uint32_t *sizes = context->program->region_bytes;
  static const int written[2] = {SWL_REGION_ARENA, SWL_REGION_STATE};
  struct ethosu_driver *driver;
  int result;
  swl_base_pointers(context, pointers);
  for (int i = 0; i < SWL_BASE_COUNT; i++) {
    int region = i == SWL_BASE_EMBEDDING                        ? SWL_REGION_WEIGHTS
                 : i == SWL_BASE_VALUES || i == SWL_BASE_KEYS ? SWL_REGION_STATE
                                                              : i;
    base[i] = (uint64_t)(uintptr_t)pointers[i];
    // A pointer into a region reaches to the region's end.
    bytes[i] = sizes[region] - (size_t)(pointers[i] - context->base[region]);
  }
  driver = ethosu_reserve_driver();
  if (driver == NULL) {
    return -1;
  }
  // The CPU's results must be in memory before the NPU reads them, and no stale line may hide the
  // NPU's.
  for (int i = 0; i < 2; i++) {
    SWL_CACHE_CLEAN(context->base[written[i]], sizes[written[i]]);
  }
  result = ethosu_invoke_v3(driver, job->payload, (int)job->bytes, base, bytes, SWL_BASE_COUNT, NULL);
  for (int i = 0; i < 2; i++) {
    SWL_CACHE_INVALIDATE(context->base[written[i]], sizes[written[i]]);
  }
  ethosu_release_driver(driver);
  return result;
}

#else

/// ISO C wants something in every file.
typedef int swl_npu_ethosu_is_not_used;

#endif
