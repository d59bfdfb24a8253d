#!/usr/bin/env bash
# The oldest versions that settings.ini allows, and the tests that need nothing else: .ci/oldest.sh python3.10
set -euo pipefail
cd "$(dirname "$0")/.."
test -x .venv-oldest/bin/python || "${1:-python3}" -m venv .venv-oldest
grep '^requirements = ' settings.ini | sed 's/requirements = //' | tr ' ' '\n' | sed 's/>=\([^,]*\).*/==\1/' > .venv-oldest/oldest.txt
.venv-oldest/bin/python -m pip install -q -r .venv-oldest/oldest.txt pytest hypothesis playwright torchinfo
.venv-oldest/bin/python -m pip install -q --no-deps -e .
OMP_NUM_THREADS=1 .venv-oldest/bin/python -m pytest -q tests/test_{maths,same_numbers,bad_input,runs,training,shapes,architectures}.py tests/faults/test_{nothing_runs,fuzz,full_disk}.py
