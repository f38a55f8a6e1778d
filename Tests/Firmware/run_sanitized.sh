#!/bin/sh
# Runs the kernel cases and damaged programs under the address and undefined-behaviour sanitizers.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
runtime=$here/../../Sources/DeviceRuntime
work=${BUILD_DIR:-$here/../../.build-firmware}
mkdir -p "$work"
watch="-fsanitize=address,undefined -fno-sanitize-recover=all -g -O1"
echo 'int main(void) { return 0; }' >"$work/probe.c"
compiler=
for candidate in gcc clang; do
  if $candidate $watch "$work/probe.c" -o "$work/probe" 2>/dev/null && "$work/probe"; then
    compiler=$candidate
    break
  fi
done
[ -n "$compiler" ] || { echo "skipped: no sanitizer libraries"; exit 0; }
$compiler -std=c99 -Wall -Wextra -Werror $watch -I"$runtime/include" -I"$runtime" -I"$here" \
  "$runtime/program_check.c" "$runtime/runtime.c" "$runtime/sampler.c" "$runtime/exp2_table.c" \
  "$here/kernel_cases.c" "$here/sanitize_main.c" -o "$work/sanitized"
"$work/sanitized"
