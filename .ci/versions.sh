#!/usr/bin/env bash
# Security, faults and numbers with the oldest or the newest versions of packages that settings.ini allows and that a Python has wheels for:
#   .ci/versions.sh oldest python3.10
#   .ci/versions.sh newest python3.13
set -euo pipefail
cd "$(dirname "$0")/.."
which="${1:-oldest}"
venv=".venv-$which"
resolution=highest
test "$which" = newest || resolution=lowest-direct
test -x "$venv/bin/python" || "${2:-python3}" -m venv "$venv"
"$venv/bin/python" -m pip install -q uv
grep '^requirements = ' settings.ini | sed 's/requirements = //' | tr ' ' '\n' > "$venv/required.txt"
# Zarr 2 is for Python 3.10 only: with the numcodecs that later ones have wheels for it cannot be imported
"$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' && sed -i 's/^zarr>=2.18,/zarr>=3,/' "$venv/required.txt"
# asciitree, which Zarr 2 needs, has no wheel
"$venv/bin/uv" pip compile -q --resolution "$resolution" --only-binary :all: --no-binary asciitree --python "$venv/bin/python" -o "$venv/$which.txt" "$venv/required.txt"
"$venv/bin/python" -m pip install -q -r "$venv/$which.txt" pytest hypothesis playwright torchinfo anndata roifile openpyxl
"$venv/bin/python" -m pip install -q --no-deps -e .
grep -v '^ ' "$venv/$which.txt"
OMP_NUM_THREADS=1 "$venv/bin/python" -m pytest -q tests/faults tests/test_{maths,same_numbers,bad_input,runs,training,shapes,architectures}.py
