#!/bin/sh
# Compiles an emitted package with strict warnings, then links it with the example of
# Docs/DeviceRuntime.md into one Cortex-M55 image. usage: check_package.sh PACKAGE
set -eu
here=$(cd "$(dirname "$0")" && pwd)
package=$(cd "$1" && pwd)
"$here/compile_check.sh" "$package/c"
command -v arm-none-eabi-gcc >/dev/null || { echo "skipped: no arm-none-eabi-gcc"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The example is the first C block of the page, so that it cannot rot.
awk '/^```c$/ && !seen { seen = on = 1; next } /^```$/ { on = 0 } on' \
  "$here/../../Docs/DeviceRuntime.md" >"$work/main.c"
assembled=$(find "$package/c" -name '*.S')
arm-none-eabi-gcc -std=c99 -O2 -Wall -Wextra -Wpedantic -Werror -mcpu=cortex-m55 -mthumb -mfloat-abi=hard \
  -DSWL_USE_ETHOSU_DRIVER -I"$package/c" -I"$package" -I"$here/stub" --specs=nosys.specs \
  "$work/main.c" "$here/stub/ethosu_driver.c" "$package"/c/*.c $assembled "$package"/c/runtime/*.c \
  -Wl,--no-warn-mismatch -o "$work/firmware.elf" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
arm-none-eabi-size "$work/firmware.elf"
