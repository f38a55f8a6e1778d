#!/usr/bin/env bash
# Prints what quantisation costs against its bars, as Markdown. usage: quantisation.sh SWIFTLET PYTHON [PART...]
# Parts: stories, homehub, smollm (the bars; default the first two), storage (caches and embeddings of four bits), and
# more (recipes beside the bars).
# Models that are not beside the checkout (or in SWIFTLET_SHARED) are left out. smollm takes long: half
# an hour for a row on two cores. ROWS, where set, names the recipes of its rows.
#
# "compiled" means that the compiled bytes ran on the simulator, "integer" the reference that equals them
# bit for bit, on the graph that was compiled. Time and memory are the compiler's, of integer rows those of
# measuring, too. Exits with 3 when a bar is missed.
set -euo pipefail
swiftlet=$1
python=$2
shift 2
parts=" ${*:-stories homehub} "
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
shared=${SWIFTLET_SHARED:-$root/../shared}
smollm=${SWIFTLET_SMOLLM:-$HOME/.cache/swiftlet/SmolLM2-135M-Instruct.Q4_1.gguf}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0

# Runs a command; its time and peak memory go to $work/cost.
measured() {
  "$python" - "$work/cost" "$@" <<'PYTHON'
import resource, subprocess, sys, time
start = time.time()
code = subprocess.run(sys.argv[2:]).returncode
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1048576
open(sys.argv[1], "w").write(f"{time.time() - start:.0f} s, {peak:.2f} GB")
sys.exit(code)
PYTHON
}

# What a Python expression of the JSON object d on standard input gives.
of() { "$python" -c "import json,sys; d=json.load(sys.stdin); print($1)"; }

# One line of the table: MODEL SETTING BAR MEASURED COST VERDICT
line() { printf '| %s | %s | %s | %s | %s | %s |\n' "$@"; }

heading() {
  printf '\n| model | setting | bar | measured | time, memory | |\n|---|---|---|---|---|---|\n'
}

# text NAME MODEL TARGET STAGE RECIPE TEXT TOKENS BITS RISE KLD [EXTRA…]: bits, rise in percent and
# divergence are the bars; - is none.
text() {
  local name=$1 model=$2 target=$3 stage=$4 recipe=$5 file=$6 tokens=$7 bits=$8 rise=$9 kld=${10}
  shift 10
  local compiled found
  rm -rf "$work/out"
  if [ "$stage" = compiled ]; then
    compiled=$(measured "$swiftlet" compile "$model" --target "$target" --quant "$recipe" --json \
      -o "$work/out" "$@")
    local tokenizer=()
    while [ $# -gt 0 ]; do
      [ "$1" = --tokenizer ] && tokenizer=(--tokenizer "$2")
      shift
    done
    found=$("$swiftlet" evaluate "$work/out" --model "$model" --text "$file" \
      --max-tokens "$tokens" --json "${tokenizer[@]}")
  else
    # Quantised once, compiled for its bits, and what was compiled is measured.
    found=$(measured "$swiftlet" evaluate "$model" --target "$target" --text "$file" \
      --stage integer --quant "$recipe" --max-tokens "$tokens" --json "$@")
    compiled=$found
  fi
  "$python" - "$name" "$recipe, $stage" "$(cat "$work/cost")" "$bits" "$rise" "$kld" \
    "$compiled" "$found" <<'PYTHON' || status=3
import json, sys
name, setting, cost, bits, rise, kld = sys.argv[1:7]
compiled, found = map(json.loads, sys.argv[7:9])
grown = 100 * (found["perplexity"] / found["float"]["perplexity"] - 1)
error = 100 * (found.get("standard_errors", {}).get("perplexity_rise") or 0)
got = (compiled["bits_per_weight"], grown, found["kld_mean"])
bars = [(f"≤ {bits} bits", bits, got[0]), (f"≤ +{rise} %", rise, got[1]), (f"KLD ≤ {kld}", kld, got[2])]
bars = [(text, float(limit), value) for text, limit, value in bars if limit != "-"]
met = all(value <= limit for _, limit, value in bars)
print(f"| {name} | {setting} | {', '.join(t for t, _, _ in bars) or '–'} "
      f"| {got[0]:.2f} bits, {grown:+.2f} ± {error:.2f} %, KLD {got[2]:.4f} | {cost} "
      f"| {'' if not bars else 'met' if met else 'missed'} |")
sys.exit(0 if met else 3)
PYTHON
}

stories=$shared/models/stories260K
story() {
  local recipe=$1 stage=$2 tokens=$3 bits=$4 rise=$5
  text stories260K "$stories/stories260K.bin" alif-e7-hp "$stage" "$recipe" \
    "$shared/data/tinystories_val.txt" "$tokens" "$bits" "$rise" - --tokenizer "$stories/tok512.bin"
}
# Second-order feedback alone, as GPTQ does it.
plain=power=0,rows=0,order=0

if [[ $parts == *" stories "* && -d $stories ]]; then
  heading
  story w8a16 compiled 8000 - 0.2
  story b4.5a16:adapt=192 compiled 8000 4.5 2.5
  # Rounding by rate and distortion against GPTQ of 23 levels, at its bits.
  weights() {
    "$swiftlet" evaluate "$stories/stories260K.bin" --tokenizer "$stories/tok512.bin" --json \
      --stage integer --quant "$1" --text "$shared/data/tinystories_val.txt" --max-tokens 8000
  }
  gptq=w4a16:levels=11,$plain
  bits=$("$swiftlet" compile "$stories/stories260K.bin" --tokenizer "$stories/tok512.bin" --json \
    --target alif-e7-hp --quant "$gptq" -o "$work/gptq" | of "f'{d[\"bits_per_weight\"]:.2f}'")
  plainly=$(weights "$gptq" | of 'd["kld_mean"]')
  weighed=$(weights "b${bits}a16" | of 'd["kld_mean"]')
  verdict=$("$python" -c "print('met' if $weighed <= 0.8 * $plainly else 'missed')")
  [ "$verdict" = met ] || status=3
  line stories260K "b${bits}a16 against GPTQ of 23 levels, integer" "KLD ≤ −20 %" \
    "$("$python" -c "print(f'{100 * ($weighed / $plainly - 1):+.0f} % ({$plainly:.4f} → {$weighed:.4f})')")" \
    – "$verdict"
fi

hub=$root/Examples/HomeHub
exact() {
  "$swiftlet" evaluate "$hub/homehub.bin" --task "$hub/test.jsonl" --json "$@" |
    of 'd["exact_match"] * 100'
}
if [[ $parts == *" homehub "* ]]; then
  heading
  float=$(exact --stage float)
  bits=$(measured "$swiftlet" compile "$hub/homehub.bin" --calibration "$hub/calibration.txt" \
    --target alif-e7-he --quant b4a16 --json -o "$work/hub" | of 'd["bits_per_weight"]')
  got=$("$swiftlet" evaluate "$work/hub" --task "$hub/test.jsonl" --json | of 'd["exact_match"] * 100')
  verdict=$("$python" -c "print('met' if $bits <= 4 and $got >= $float - 0.5 else 'missed')")
  [ "$verdict" = met ] || status=3
  line HomeHub "b4a16, compiled" "≤ 4.0 bits, exact match ≥ float − 0.5 points" \
    "$("$python" -c "print(f'{$bits:.2f} bits, {$got:.1f} % against {$float:.1f} %')")" \
    "$(cat "$work/cost")" "$verdict"
fi

if [[ $parts == *" smollm "* && -f $smollm ]]; then
  heading
  wiki=$shared/data/wikitext2_valid.txt
  # Calibration text from the rest of the corpus; the start is measured.
  tail -c +300000 "$wiki" >"$work/calibration.txt"
  small() {
    [[ " ${ROWS:-$1} " == *" $1 "* ]] || return 0
    text SmolLM2-135M "$smollm" alif-e8-hp compiled "$1" "$wiki" 2048 "$2" "$3" "$4" \
      --calibration "$work/calibration.txt"
  }
  small w8a16 - 0.3 -
  small w8a16:power=0.5 - 0.3 -
  small b4a16:tokens=16384 4.0 5 0.06
  small b3.2a16:tokens=16384 3.2 15 -
  # llama.cpp's Q4_0 of the same float weights, computed in floating point (head kept at 8 bits).
  if [ -z "${ROWS:-}" ] &&
    "$python" "$here/../Oracles/gguf_q4_0.py" "$smollm" "$work/q4_0.gguf" >/dev/null 2>&1; then
    found=$("$swiftlet" evaluate "$work/q4_0.gguf" --model "$smollm" --stage float --max-tokens 2048 \
      --text "$wiki" --json)
    line SmolLM2-135M "llama.cpp Q4_0, float" "–" "4.50 bits, $(of \
      "f'{100 * (d[\"perplexity\"] / d[\"float\"][\"perplexity\"] - 1):+.2f} %, KLD {d[\"kld_mean\"]:.4f}'" \
      <<<"$found")" – ""
  fi
fi

if [[ $parts == *" storage "* ]]; then
  heading
  if [ -d "$stories" ]; then
    for recipe in w8a16 w8a16:embeddings=4 w8a16:values=4 w8a16:keys=4 w8a16:kv=4 b4.5a16 \
      b4.5a16:embeddings=4 b4.5a16:values=4; do
      story "$recipe" compiled 4000 - -
    done
    # In the same read-only memory.
    for size in 260KB 300KB 330KB; do
      for recipe in w8a16 w8a16:embeddings=auto; do
        rm -rf "$work/fit"
        "$swiftlet" compile "$stories/stories260K.bin" --tokenizer "$stories/tok512.bin" --json \
          --target alif-e7-hp --quant "$recipe" --flash "$size" -o "$work/fit" >"$work/fit.json"
        kld=$("$swiftlet" evaluate "$work/fit" --model "$stories/stories260K.bin" --json \
          --tokenizer "$stories/tok512.bin" --text "$shared/data/tinystories_val.txt" \
          --max-tokens 4000 | of '"KLD %.4f" % d["kld_mean"]')
        line stories260K "$(of 'd["quant"]' <"$work/fit.json"), compiled" "≤ $size" \
          "$(of 'd["flash_bytes"]' <"$work/fit.json") bytes, $kld" – ""
      done
    done
  fi
  for recipe in b4a16 b4a16:embeddings=4 b4a16:values=4 b4a16:kv=4; do
    rm -rf "$work/hub"
    "$swiftlet" compile "$hub/homehub.bin" --calibration "$hub/calibration.txt" \
      --target alif-e7-he --quant "$recipe" --json -o "$work/hub" >"$work/hub.json"
    got=$("$swiftlet" evaluate "$work/hub" --task "$hub/test.jsonl" --json |
      of 'd["exact_match"] * 100')
    line HomeHub "$recipe, compiled" – \
      "exact match $got, $(of 'd["flash_bytes"]' <"$work/hub.json") bytes of flash" – ""
  done
  if [ -f "$smollm" ]; then
    wiki=$shared/data/wikitext2_valid.txt
    tail -c +300000 "$wiki" >"$work/calibration.txt"
    for recipe in w8a16 w8a16:embeddings=4 w8a16:values=4 w8a16:keys=4 w8a16:kv=4; do
      text SmolLM2-135M "$smollm" alif-e8-hp integer "$recipe" "$wiki" 2048 - - - \
        --calibration "$work/calibration.txt"
    done
  fi
fi

if [[ $parts == *" more "* ]]; then
  heading
  if [ -d "$stories" ]; then
    for recipe in w8a16:power=0.5 b6a16 b5a16 b4a16 b3.5a16 w4a16 "w4a16:$plain" \
      "w4a16:$plain,feedback=0"; do
      story "$recipe" integer 17000 - -
    done
  fi
  for recipe in w8a16 b4.5a16 b3.5a16 b3a16 w4a16; do
    line HomeHub "$recipe, integer" – \
      "exact match $(exact --stage integer --quant "$recipe" --calibration "$hub/calibration.txt")" – ""
  done
fi
exit $status
