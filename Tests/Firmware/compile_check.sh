#!/bin/sh
# Compiles every C file (and, for the target, every assembler file) under the given folders with
# strict warnings as errors: gcc and clang on this machine, gcc for Cortex-M55.
# Default: the device runtime. Give the `c` folder of an emitted package to check that.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
runtime=$here/../../Sources/DeviceRuntime
strict="-std=c99 -O2 -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Werror"
target="arm-none-eabi-gcc -mcpu=cortex-m55 -mthumb -mfloat-abi=hard"
[ $# -gt 0 ] || set -- "$runtime"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

compilers=0
for compiler in gcc clang "$target"; do
  command -v ${compiler%% *} >/dev/null || { echo "skipped: no ${compiler%% *}"; continue; }
  compilers=$((compilers + 1))
  files=0
  for folder in "$@"; do
    includes="-I$folder -I$folder/include -I$folder/runtime -I$folder/.."
    for file in $(find "$folder" -name '*.c' | sort); do
      $compiler $strict $includes -c "$file" -o "$work/out.o"
      files=$((files + 1))
      case $file in
      */npu_ethosu.c)
        $compiler $strict $includes -I"$here/stub" -DSWL_USE_ETHOSU_DRIVER -c "$file" -o "$work/out.o"
        ;;
      esac
    done
    [ "$compiler" != "$target" ] || for file in $(find "$folder" -name '*.S' | sort); do
      $compiler $includes -c "$file" -o "$work/out.o"
    done
  done
  [ $files -gt 0 ] || { echo "no C files in $*" >&2; exit 1; }
  echo "${compiler%% *}: $files files, no warnings"
done
[ $compilers -gt 0 ] || { echo "no compiler" >&2; exit 1; }
