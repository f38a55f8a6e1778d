#!/usr/bin/env bash
# Holds the project's own models against their baselines. usage: gate.sh SWIFTLET [--record]
# Exits with 3 when a figure got worse by more than its tolerance; with --record writes the figures.
# Reports (JUnit, Markdown, SARIF) go to out/gate. Models beside the checkout (or in SWIFTLET_SHARED)
# are held where they are; others are left out. Docs/CI.md explains the files.
set -euo pipefail
swiftlet=$1
record=${2:-}
cd "$(dirname "$0")/.."
shared=${SWIFTLET_SHARED:-../shared}
reports=out/gate
mkdir -p "$reports"
status=0

# gate NAME MODEL OPTION...: the options describe the measurement, for recording; a check takes
# them from the baseline, and only needs the paths of files outside this checkout.
gate() {
  local name=$1 model=$2
  shift 2
  local baseline=baselines/$name.json
  printf '\n== %s\n' "$name"
  if [ "$record" = --record ]; then
    "$swiftlet" evaluate "$model" --baseline "$baseline" --record "$@"
    return
  fi
  "$swiftlet" evaluate "$model" --baseline "$baseline" "$@" --junit "$reports/$name.xml" \
    --markdown "$reports/$name.md" --sarif "$reports/$name.sarif" || status=$?
}

hub=Examples/HomeHub
gate homehub $hub/homehub.bin --task $hub/test.jsonl --text $hub/test.jsonl --max-tokens 12000 \
  --calibration $hub/calibration.txt --quant w8a16 --target alif-e7-he

stories=$shared/models/stories260K
if [ -f "$stories/stories260K.bin" ]; then
  for quant in w8a16 w8a8 w8a16:values=4,embeddings=4; do
    case $quant in *=4) name=stories260K-int4 ;; *) name=stories260K-$quant ;; esac
    gate $name "$stories/stories260K.bin" --tokenizer "$stories/tok512.bin" \
      --text "$shared/data/tinystories_val.txt" --max-tokens 6000 --quant $quant --target alif-e7-hp
  done
fi
exit $status
