#!/usr/bin/env bash
# Prints what a prompt of 64 tokens costs, simulated, against 64 tokens one by one.
# usage: prefill.sh SWIFTLET PYTHON [TARGET...]
# Models beside the checkout (or in SWIFTLET_SHARED) are used where they are; others are left out.
set -euo pipefail
swiftlet=$1
python=$2
shift 2
[ $# -gt 0 ] || set -- alif-e7-hp alif-e8 corstone-320
here=$(cd "$(dirname "$0")" && pwd)
shared=${SWIFTLET_SHARED:-$here/../../../shared}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
stories=$shared/models/stories260K
words="Once upon a time there was a little girl who had a red ball. She liked to play with it. "

# measure NAME MODEL TOKENIZER CONTEXT TARGET
measure() {
  local out=$work/package
  rm -rf "$out"
  "$swiftlet" compile "$2" --tokenizer "$3" --context "$4" --target "$5" -o "$out" --json >"$work/c.json"
  # The story's first words, as many as make 64 tokens, or one fewer.
  local prompt="" next tokens
  for word in $words $words $words; do
    next="${prompt:+$prompt }$word"
    tokens=$(printf %s "$next" | "$swiftlet" tokenize "$out" --text - --json |
      "$python" -c 'import json,sys; print(len(json.load(sys.stdin)["ids"]))')
    [ "$tokens" -le 64 ] || break
    prompt=$next
  done
  "$swiftlet" generate "$out" --prompt "$prompt" --max-tokens 2 --json >"$work/g.json"
  "$python" - "$1" "$4" "$5" "$work" <<'EOF'
import json, sys
name, context, target, work = sys.argv[1:]
compiled = json.load(open(f"{work}/c.json"))
run = json.load(open(f"{work}/g.json"))
tokens, decode = run["prompt_tokens"], compiled["decode_cycles"]
print(f"{name:12} ctx {context:>4} {target:13} batches of {compiled['prefill_tokens']:>2}: "
      f"{tokens} tokens {run['prompt_npu_cycles']:,} cycles, "
      f"{run['prompt_npu_cycles'] / (tokens * decode):.3f} of one by one ({decode:,} each); "
      f"CPU kernels {compiled['cpu_ops']}")
EOF
}

for target in "$@"; do
  if [ -d "$stories" ]; then
    for context in 128 256; do
      measure stories260K "$stories/stories260K.bin" "$stories/tok512.bin" $context "$target"
    done
  fi
  if [ -f "$shared/models/llama2_tokenizer.bin" ]; then
    [ -f "$work/shape.bin" ] || "$python" "$here/generate_checkpoint.py" "$work/shape.bin"
    measure "15M shape" "$work/shape.bin" "$shared/models/llama2_tokenizer.bin" 256 "$target"
  fi
done
