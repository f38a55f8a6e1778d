/// Vector table and start of the test firmware on Corstone-300 (Cortex-M55).
#include <stdint.h>

#include "semihosting.h"

extern uint32_t stack_top[], data_start[], data_end[], data_load[], bss_start[], bss_end[];
int main(void);

/// Armv8-M coprocessor access control: CP10 and CP11 are the FPU and Helium.
#define CPACR (*(volatile uint32_t *)0xE000ED88u)

void reset(void);

/// The first code that runs: what C expects, then `main`.
void reset(void) {
  const uint32_t *from = data_load;
  CPACR |= 0xFu << 20;
  __asm__ volatile("dsb\n isb" ::: "memory");
  for (uint32_t *to = data_start; to < data_end; to++) {
    *to = *from++;
  }
  for (uint32_t *to = bss_start; to < bss_end; to++) {
    *to = 0;
  }
  semihosting_exit(main());
}

static void fault(void) {
  semihosting_write("fault\n");
  semihosting_exit(1);
}

/// The stack pointer at reset, then the handlers of the fixed exceptions.
__attribute__((section(".vectors"), used)) static const uintptr_t vectors[16] = {
    (uintptr_t)stack_top, (uintptr_t)reset, (uintptr_t)fault, (uintptr_t)fault,
    (uintptr_t)fault,     (uintptr_t)fault, (uintptr_t)fault, (uintptr_t)fault,
    0,                    0,                0,                (uintptr_t)fault,
    (uintptr_t)fault,     0,                (uintptr_t)fault, (uintptr_t)fault,
};
