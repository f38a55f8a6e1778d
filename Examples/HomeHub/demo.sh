#!/usr/bin/env bash
# From a trained checkpoint to commands made by the simulated NPU. Usage: demo.sh [path of swiftlet]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
swiftlet=${1:-$here/../../.build/release/swiftlet}
out=$(mktemp -d)/homehub
trap 'rm -rf "$(dirname "$out")"' EXIT

say() { printf '\n\033[1m%s\033[0m\n' "$1"; }

say "1. The model: a llama2.c checkpoint and its tokenizer"
"$swiftlet" inspect "$here/homehub.bin"

say "2. Compile it for an Alif E7's high-efficiency core (Cortex-M55 + Ethos-U55-128)"
"$swiftlet" compile "$here/homehub.bin" --target alif-e7-he --quant w8a16 \
  --calibration "$here/calibration.txt" -o "$out"
echo "C arrays, header and runtime for the firmware build:"
ls "$out/c"

say "3. Sentences in, commands out, computed by the simulated NPU from those bytes"
while IFS= read -r sentence; do
  printf '  %-62s → ' "$sentence"
  "$swiftlet" generate "$out" --prompt "$sentence"$'\n' --max-tokens 48 --only-text
done <"$here/demo_prompts.txt"

say "4. One of them in full"
"$swiftlet" generate "$out" --prompt "$(head -n 1 "$here/demo_prompts.txt")"$'\n' --max-tokens 48
