#!/usr/bin/env bash
# Prints the rates of the weight codec and of inference on the simulator. usage: codec.sh SWIFTLET PYTHON
# The tests must have been built (make unit-test). One weight is one byte.
set -euo pipefail
swiftlet=$1
python=$2
root=$(cd "$(dirname "$0")/../.." && pwd)
shared=${SWIFTLET_SHARED:-$root/../shared}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "weight codec, one core: a million weights of a linear layer"
(cd "$root" && SWIFTLET_BENCHMARK=1 swift test -c release -Xswiftc -enable-testing \
  --scratch-path .build-test --skip-build --filter weightBenchmark 2>/dev/null) | grep ': encode'

models=$shared/models/tflite
[ -d "$models" ] || exit 0
"$python" "$root/Tests/Benchmarks/inference.py" "$swiftlet" "$models" "$work"
