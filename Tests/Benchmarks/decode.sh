#!/usr/bin/env bash
# Prints what one decoded token costs the NPU. usage: decode.sh SWIFTLET PYTHON [full]
# For each model, target and context: cycles of the simulated job, the bound (each encoded byte read once, as fast
# as its memory, the NPU's reads in flight and its decoders allow), their ratio, on-chip RAM, the same against what
# is alive at once (values and scratch at the worst moment, slices on their way, caches), kernels of the CPU, and how much
# of the weights is in on-chip RAM and in the nearer of two other memories, where not all is.
# `full` adds the large models, which take minutes. Models beside the checkout (or in SWIFTLET_SHARED) are used
# where they are; others are left out.
set -euo pipefail
swiftlet=$1
python=$2
full=${3:-}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
shared=${SWIFTLET_SHARED:-$root/../shared}
smollm=${SWIFTLET_SMOLLM:-$HOME/.cache/swiftlet/SmolLM2-135M-Instruct.Q4_1.gguf}
export SWIFTLET_HOME=${SWIFTLET_HOME:-$root}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# row NAME QUANT CONTEXT TARGET MODEL [OPTION...]
row() {
  local name=$1 quant=$2 context=$3 target=$4 model=$5
  shift 5
  rm -rf "$work/package"
  if ! "$swiftlet" compile "$model" --target "$target" --context "$context" --quant "$quant" "$@" \
    -o "$work/package" > "$work/log" 2>&1; then
    echo "| $name | $quant | $context | $target | does not compile: $(grep -m1 error "$work/log") | | | | | | |"
    return
  fi
  "$swiftlet" simulate "$work/package" > "$work/run" 2>&1 || true
  "$python" - "$work" "$name" "$quant" "$context" "$target" << 'PYTHON'
import json, sys
work, *cells = sys.argv[1:]
manifest = json.load(open(work + "/package/manifest.json"))
report = manifest["report"]
near = sum(region["bytes"] for region in manifest["regions"] if region["name"] == "near")
cycles = hazards = None
for line in open(work + "/run"):
    if line.startswith("NPU cycles"):
        cycles = int(line.split()[-1].replace(",", ""))
    if line.startswith("hazards"):
        hazards = line.split()[-1]
bound = report["decodeBoundCycles"]
alive = report.get("sramBoundBytes")
peak = f"{report['sramPeakBytes'] / alive:.3f}" if alive else "-"
ratio = f"{cycles / bound:.3f}" if cycles else "-"
print("|", " | ".join(cells), f"| {cycles or 0:,} | {bound:,} | {ratio} | {report['sramPeakBytes'] >> 10} KiB | {peak}"
      f" | {report['cpuOps']} | {hazards} | {report.get('residentBytes', 0) >> 10} + {near >> 10} KiB |", flush=True)
PYTHON
}

echo "| model | quant | context | target | cycles a token | bound | ratio | on-chip RAM | ÷ alive | CPU kernels | hazards | in RAM + near |"
echo "|---|---|---:|---|---:|---:|---:|---:|---:|---:|---|---:|"
stories=$shared/models/stories260K
if [ -d "$stories" ]; then
  for target in alif-e7-he alif-e7-hp corstone-300-sram alif-e8 corstone-320-dram-mid; do
    for quant in w8a16 w8a8; do
      row stories260K $quant 64 $target "$stories/stories260K.bin" --tokenizer "$stories/tok512.bin"
    done
  done
  row stories260K w8a16 256 alif-e7-hp "$stories/stories260K.bin" --tokenizer "$stories/tok512.bin"
fi
tokenizer=()
[ -f "$shared/models/llama2_tokenizer.bin" ] && tokenizer=(--tokenizer "$shared/models/llama2_tokenizer.bin")
"$python" "$here/generate_checkpoint.py" "$work/15m.bin"
for target in alif-e7-hp alif-e8 corstone-320-dram-mid; do
  for context in 64 256; do
    row "15M shape" w8a16 $context $target "$work/15m.bin" "${tokenizer[@]}"
  done
done
# RAM that caches leave holds weights.
for quant in w8a16:values=4 w8a16:kv=4; do
  row "15M shape" $quant 256 alif-e8 "$work/15m.bin" "${tokenizer[@]}"
done
[ "$full" = full ] || exit 0
"$python" "$here/generate_checkpoint.py" "$work/42m.bin" 512 8 8 1376 32000 256
# At eight bits it does not fit the E7's flash; at four, or six beside embeddings of four, it does.
for quant in w4a16:feedback=0,tokens=256 w8a16:levels=23,feedback=0,tokens=256,embeddings=4; do
  for context in 64 256; do
    row "42M shape" $quant $context alif-e7-hp "$work/42m.bin" "${tokenizer[@]}"
  done
done
for target in alif-e7-hp alif-e8 corstone-320-dram-high; do
  for context in 64 256; do
    row "42M shape" w8a16 $context $target "$work/42m.bin" "${tokenizer[@]}"
    if [ -f "$smollm" ]; then row SmolLM2-135M w8a16 $context $target "$smollm"; fi
  done
done
exit 0
