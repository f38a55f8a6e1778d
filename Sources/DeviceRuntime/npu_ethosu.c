/// The NPU callback by Arm's bare-metal Ethos-U core driver. Compiled only with
/// SWL_USE_ETHOSU_DRIVER defined and the driver's `include` folder on the include path.
///
/// Before `swl_open`, firmware initialises the driver (`ethosu_init`) and its interrupt. Give the
/// driver no fast memory: with one, it would replace base pointer 2, which is our staging region.
///
/// Data cache: define SWL_CACHE_CLEAN(address, bytes) and SWL_CACHE_INVALIDATE(address, bytes), for
/// example as CMSIS' SCB_CleanDCache_by_Addr and SCB_InvalidateDCache_by_Addr, when the arena is
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
  // Regions 0...3; what the CPU alone reads (4) stays hidden from the NPU.
  uint64_t base[SWL_REGION_PARAMS];
  size_t bytes[SWL_REGION_PARAMS];
  uint8_t *arena = context->base[SWL_REGION_ARENA];
  uint32_t arena_bytes = context->program->region_bytes[SWL_REGION_ARENA];
  struct ethosu_driver *driver;
  int result;
  for (int i = 0; i < SWL_REGION_PARAMS; i++) {
    base[i] = (uint64_t)(uintptr_t)context->base[i];
    bytes[i] = context->program->region_bytes[i];
  }
  driver = ethosu_reserve_driver();
  if (driver == NULL) {
    return -1;
  }
  // The CPU's results must be in memory before the NPU reads them, and no stale line may hide the
  // NPU's. The NPU never sees the KV cache (its kernels run on the CPU) nor writes constants.
  SWL_CACHE_CLEAN(arena, arena_bytes);
  result = ethosu_invoke_v3(driver, job->payload, (int)job->bytes, base, bytes, SWL_REGION_PARAMS, NULL);
  SWL_CACHE_INVALIDATE(arena, arena_bytes);
  ethosu_release_driver(driver);
  return result;
}

#else

/// ISO C wants something in every file.
typedef int swl_npu_ethosu_is_not_used;

#endif
