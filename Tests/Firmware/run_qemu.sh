#!/bin/sh
# Runs the kernels on an emulated Cortex-M55 (Corstone-300) and compares with this machine's bytes.
# Prints instructions per kernel. OPT sets the optimisation (default -O2), CPU the -mcpu value.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
runtime=$here/../../Sources/DeviceRuntime
work=${BUILD_DIR:-$here/../../.build-firmware}
opt=${OPT:--O2}
cpu=${CPU:-cortex-m55}
for tool in gcc arm-none-eabi-gcc qemu-system-arm; do
  command -v $tool >/dev/null || { echo "skipped: no $tool"; exit 0; }
done
mkdir -p "$work"
sources="$runtime/program_check.c $runtime/runtime.c $runtime/sampler.c $runtime/exp2_table.c $here/kernel_cases.c"
flags="-std=c99 -Wall -Wextra -Werror -I$runtime/include -I$runtime -I$here"

gcc $flags -O2 $sources "$here/write_vectors.c" -o "$work/write_vectors"
"$work/write_vectors" >"$work/expected.c"
arm-none-eabi-gcc -mcpu=$cpu -mthumb -mfloat-abi=hard $flags $opt -ffunction-sections -fdata-sections \
  $sources "$work/expected.c" "$here"/qemu/*.c \
  -nostartfiles -Wl,--gc-sections -T "$here/qemu/corstone300.ld" -o "$work/firmware.elf"
echo "-mcpu=$cpu $opt"
timeout 300 qemu-system-arm -M mps3-an547 -nographic -monitor none -serial none -icount shift=0 \
  -semihosting-config enable=on,target=native -kernel "$work/firmware.elf" 2>&1
echo "Cortex-M55 in QEMU: same bytes as the host"
