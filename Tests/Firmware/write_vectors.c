/// Runs every kernel case on this machine and writes the results as C arrays to standard output.
#include <stdio.h>

#include "kernel_cases.h"

int main(void) {
  printf("/* Made by write_vectors.c. */\n#include \"expected.h\"\n\n");
  for (uint32_t i = 0; i < kernel_case_count; i++) {
    uint32_t bytes;
    kernel_cases[i].prepare();
    bytes = kernel_cases[i].run();
    if (bytes == 0 || bytes > KERNEL_CASE_LIMIT) {
      fprintf(stderr, "%s gave %u bytes\n", kernel_cases[i].name, (unsigned)bytes);
      return 1;
    }
    printf("static const uint8_t case_%u[%u] = {", (unsigned)i, (unsigned)bytes);
    for (uint32_t b = 0; b < bytes; b++) {
      printf("%s%u,", b % 24 == 0 ? "\n" : "", kernel_out[b]);
    }
    printf("\n};\n");
  }
  printf("\nconst expected_result expected_results[] = {\n");
  for (uint32_t i = 0; i < kernel_case_count; i++) {
    printf("  {case_%u, sizeof case_%u},\n", (unsigned)i, (unsigned)i);
  }
  printf("};\n");
  return 0;
}
