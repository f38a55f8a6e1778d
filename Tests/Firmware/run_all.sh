#!/bin/sh
# Every check of the C that ships: strict compiles, sanitizers, Cortex-M55 in QEMU, and, given the
# tool, a package it emits. usage: run_all.sh [SWIFTLET]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
model=$here/../../Examples/HomeHub/homehub.bin
"$here/compile_check.sh"
"$here/run_sanitized.sh"
"$here/run_qemu.sh"
CPU=cortex-m55+nomve "$here/run_qemu.sh"
if [ $# -gt 0 ] && [ -f "$model" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  "$1" compile "$model" --target alif-e7-he -o "$work/package" >/dev/null
  "$here/check_package.sh" "$work/package"
fi
