#!/usr/bin/env bash
# Prints the measured table of Docs/Quantisation.md as Markdown. usage: quantisation.sh SWIFTLET PYTHON [MODEL...]
# Models (stories, homehub, smollm; default the first two) that are not beside the checkout (or in
# SWIFTLET_SHARED) are left out. smollm takes long: a quarter of an hour for a row on two cores.
set -euo pipefail
swiftlet=$1
python=$2
shift 2
models=${*:-stories homehub}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
shared=${SWIFTLET_SHARED:-$root/../shared}
smollm=${SWIFTLET_SMOLLM:-$HOME/.cache/swiftlet/SmolLM2-135M-Instruct.Q4_1.gguf}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What a Python expression of the JSON object d on standard input gives.
of() { "$python" -c "import json,sys; d=json.load(sys.stdin); print($1)"; }

# One row: MODEL TARGET TEXT TOKENS RECIPE [EXTRA…]
row() {
  local model=$1 target=$2 text=$3 tokens=$4 recipe=$5
  shift 5
  local start=$SECONDS
  local compiled measured
  compiled=$("$swiftlet" compile "$model" --target "$target" --quant "$recipe" --json \
    -o "$work/out" "$@")
  rm -rf "$work/out"
  local seconds=$((SECONDS - start))
  measured=$("$swiftlet" evaluate "$model" --text "$text" --stage integer --quant "$recipe" \
    --max-tokens "$tokens" --json "$@")
  printf '| %s | %s | %s | %d s |\n' "$recipe" \
    "$(of "f'{d[\"bits_per_weight\"]:.2f}'" <<<"$compiled")" \
    "$(of "f'{100 * (d[\"perplexity\"] / d[\"float\"][\"perplexity\"] - 1):+.2f} % | {d[\"kld_mean\"]:.4f}'" \
      <<<"$measured")" "$seconds"
}

head_row() {
  printf '\n%s\n\n| recipe | bits a weight | perplexity | KLD | compiled in |\n|---|---|---|---|---|\n' "$1"
}

stories=$shared/models/stories260K
if [[ " $models " == *" stories "* && -d $stories ]]; then
  head_row "stories260K, 17,000 tokens of stories, built-in calibration text"
  # "plain": second-order feedback alone, as GPTQ does it; then the same bits by rate and distortion.
  plain=power=0,rows=0,order=0
  for recipe in w8a16 w8a16:power=0.5 b6a16 b5a16 b4.5a16 b4a16 b3.5a16 w4a16 "w4a16:$plain" \
    "w4a16:$plain,feedback=0" "w4a16:levels=11,$plain" b4.31a16; do
    row "$stories/stories260K.bin" alif-e7-hp "$shared/data/tinystories_val.txt" 17000 "$recipe" \
      --tokenizer "$stories/tok512.bin"
  done
fi

hub=$root/Examples/HomeHub
if [[ " $models " == *" homehub "* ]]; then
  printf '\nHomeHub, exact match on the held-out cases\n\n| recipe | exact match |\n|---|---|\n'
  for recipe in float w8a16 b4.5a16 b4a16 b3.5a16 b3a16 w4a16; do
    stage=(--stage integer --quant "$recipe" --calibration "$hub/calibration.txt")
    [ "$recipe" = float ] && stage=(--stage float)
    found=$("$swiftlet" evaluate "$hub/homehub.bin" --task "$hub/test.jsonl" "${stage[@]}" --json)
    printf '| %s | %s |\n' "$recipe" "$(of "f'{100 * d[\"exact_match\"]:.1f} %'" <<<"$found")"
  done
fi

if [[ " $models " == *" smollm "* && -f $smollm ]]; then
  # Calibration text from the middle of the corpus; the start is measured.
  tail -c +300000 "$shared/data/wikitext2_valid.txt" | head -c 400000 >"$work/calibration.txt"
  head_row "SmolLM2-135M, 2,044 tokens of WikiText-2, calibrated on another part of it"
  for recipe in w8a16 w8a16:power=0.5 b4a16 b3.2a16; do
    row "$smollm" alif-e8-hp "$shared/data/wikitext2_valid.txt" 2048 "$recipe" \
      --calibration "$work/calibration.txt"
  done
  # llama.cpp's Q4_0 of the same float weights, computed in floating point (head kept at 8 bits).
  if "$python" "$here/../Oracles/gguf_q4_0.py" "$smollm" "$work/q4_0.gguf" >/dev/null 2>&1; then
    found=$("$swiftlet" evaluate "$work/q4_0.gguf" --model "$smollm" --stage float --max-tokens 2048 \
      --text "$shared/data/wikitext2_valid.txt" --json)
    printf '| llama.cpp Q4_0 | 4.50 | %s | – |\n' \
      "$(of "f'{100 * (d[\"perplexity\"] / d[\"float\"][\"perplexity\"] - 1):+.2f} % | {d[\"kld_mean\"]:.4f}'" \
        <<<"$found")"
  fi
fi
