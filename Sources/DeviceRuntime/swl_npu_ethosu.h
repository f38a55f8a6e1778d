/// The NPU callback for parts with Arm's Ethos-U core driver (`npu_ethosu.c`).
#ifndef SWL_NPU_ETHOSU_H
#define SWL_NPU_ETHOSU_H

#include "swiftlet_runtime.h"

/// Runs one job and waits for its end. Pass it to `swl_open`; needs SWL_USE_ETHOSU_DRIVER.
int swl_npu_run_ethosu(struct swl_context *context, const swl_job *job);

#endif
