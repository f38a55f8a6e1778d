/// Runs every kernel case on the Cortex-M55, compares with the host's bytes, counts instructions.
#include <stdint.h>
#include <string.h>

#include "../expected.h"
#include "../kernel_cases.h"
#include "semihosting.h"

// SysTick at the processor clock of the board, 32 MHz (QEMU, hw/arm/mps3tz, AN547). Under
// `-icount shift=0` an instruction takes one nanosecond of virtual time, so a tick is 31.25 of them.
#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)

static char line[128];
static char *at;

static void put(const char *text, int width) {
  int length = (int)strlen(text);
  memcpy(at, text, (size_t)length);
  at += length;
  for (; length < width; length++) {
    *at++ = ' ';
  }
}

static void put_number(uint64_t value, int width) {
  char digits[24];
  int length = 0;
  do {
    digits[length++] = (char)('0' + value % 10);
    value /= 10;
  } while (value > 0);
  for (; width > length; width--) {
    *at++ = ' ';
  }
  while (length > 0) {
    *at++ = digits[--length];
  }
}

static void end_line(void) {
  *at++ = '\n';
  *at = 0;
  semihosting_write(line);
  at = line;
}

/// Instructions of one run, to about 60.
static uint64_t count(const kernel_case *c, uint32_t *bytes) {
  uint32_t before, after;
  SYST_RVR = 0xFFFFFF;
  SYST_CVR = 0;
  SYST_CSR = 5;
  before = SYST_CVR;
  *bytes = c->run();
  after = SYST_CVR;
  SYST_CSR = 0;
  return (uint64_t)((before - after) & 0xFFFFFF) * 125 / 4;
}

int main(void) {
  int wrong = 0;
  at = line;
  put("case", 24);
  put("result", 10);
  put("instructions", 14);
  put("per unit", 10);
  end_line();
  for (uint32_t i = 0; i < kernel_case_count; i++) {
    const kernel_case *c = &kernel_cases[i];
    uint32_t bytes;
    uint64_t instructions, hundredths;
    int same;
    c->prepare();
    instructions = count(c, &bytes);
    same = bytes == expected_results[i].count && memcmp(kernel_out, expected_results[i].bytes, bytes) == 0;
    wrong += !same;
    hundredths = instructions * 100 / c->units;
    put(c->name, 24);
    put(same ? "same" : "DIFFERENT", 10);
    put_number(instructions, 12);
    put_number(hundredths / 100, 9);
    put(hundredths % 100 < 10 ? ".0" : ".", 0);
    put_number(hundredths % 100, 0);
    put(" / ", 0);
    put(c->unit, 0);
    end_line();
  }
  return wrong;
}
