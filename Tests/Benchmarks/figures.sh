#!/usr/bin/env bash
# Prints the figures of Docs/Benchmarks.md. usage: figures.sh SWIFTLET PYTHON
# Models beside the checkout (or in SWIFTLET_SHARED) are used where they are; others are left out.
set -euo pipefail
swiftlet=$1
python=$2
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
shared=${SWIFTLET_SHARED:-$root/../shared}
smollm=$("$here/fetch_smollm2.sh" "$python" || true)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf '\n== %s\n' "$1"; }
# Runs a command and prints its wall time and peak memory after its own output.
measured() { /usr/bin/env time -f '   %e s, %M KiB at most' "$@"; }

hub=$root/Examples/HomeHub
say "HomeHub, exact match on held-out cases"
"$swiftlet" evaluate "$hub/homehub.bin" --task "$hub/test.jsonl" | head -2
for quant in w8a16 w8a8; do
  echo "$quant, compiled for alif-e7-he, simulated"
  "$swiftlet" evaluate "$hub/homehub.bin" --task "$hub/test.jsonl" --stage compiled --quant $quant \
    --target alif-e7-he --calibration "$hub/calibration.txt" | head -2
done

stories=$shared/models/stories260K
if [ -d "$stories" ]; then
  for quant in w8a16 w8a8; do
    say "stories260K $quant, compiled against float, stories text"
    "$swiftlet" evaluate "$stories/stories260K.bin" --tokenizer "$stories/tok512.bin" \
      --text "$shared/data/tinystories_val.txt" --stage compiled --quant $quant --max-tokens 17000
  done
  say "stories260K, compile and generate"
  measured "$swiftlet" compile "$stories/stories260K.bin" --tokenizer "$stories/tok512.bin" \
    --target alif-e7-hp -o "$work/stories"
  "$swiftlet" generate "$work/stories" --prompt "Once upon a time" --max-tokens 200
fi

say "15M shape (generated weights), compile and generate"
"$python" "$here/generate_checkpoint.py" "$work/shape.bin"
tokenizer=()
[ -f "$shared/models/llama2_tokenizer.bin" ] && tokenizer=(--tokenizer "$shared/models/llama2_tokenizer.bin")
measured "$swiftlet" compile "$work/shape.bin" "${tokenizer[@]}" --target alif-e8-hp -o "$work/shape"
if [ ${#tokenizer[@]} -gt 0 ]; then
  "$swiftlet" generate "$work/shape" --prompt "Once upon a time" --max-tokens 40 | tail -8
fi

if [ -f "$smollm" ]; then
  if [ -d "$shared/data" ]; then
    say "SmolLM2-135M, float, four windows of 512 tokens of stories; llama.cpp: 7.5095"
    "$swiftlet" evaluate "$smollm" --text "$shared/data/tinystories_val.txt" --stage float \
      --max-tokens 2048 --context 512
  fi
  say "SmolLM2-135M, compile and generate"
  measured "$swiftlet" compile "$smollm" --target alif-e8-hp -o "$work/smollm"
  "$swiftlet" generate "$work/smollm" --prompt "Once upon a time" --max-tokens 20
  if [ -d "$shared/data" ]; then
    say "SmolLM2-135M w8a16, integer reference against float, WikiText-2"
    "$swiftlet" evaluate "$smollm" --text "$shared/data/wikitext2_valid.txt" --stage integer \
      --max-tokens 2048 --context 512
  fi
fi
