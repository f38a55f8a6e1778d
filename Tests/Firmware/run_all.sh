#!/bin/sh
# Every check of the C that ships: strict compiles, sanitizers, Cortex-M55 in QEMU.
# usage: run_all.sh [SWIFTLET]    SWIFTLET, the tool, is kept for checks of emitted packages.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
"$here/compile_check.sh"
"$here/run_sanitized.sh"
"$here/run_qemu.sh"
CPU=cortex-m55+nomve "$here/run_qemu.sh"
