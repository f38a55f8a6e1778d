#include "semihosting.h"

#include <stdint.h>

static uint32_t call(uint32_t operation, const void *parameter) {
  register uint32_t r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = parameter;
  __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

void semihosting_write(const char *text) { (void)call(0x04, text); } // SYS_WRITE0

void semihosting_exit(int code) {
  // SYS_EXIT_EXTENDED with ADP_Stopped_ApplicationExit.
  const uint32_t block[2] = {0x20026, (uint32_t)code};
  for (;;) {
    (void)call(0x20, block);
  }
}
