#!/usr/bin/env bash
# Looks the locked packages, and the oldest versions that settings.ini allows, up among known vulnerabilities (needs the network).
# What is found goes into holes.csv with the version that mends it, and settings.ini above that version: a test compares them.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/python -m pip install -q pip-audit
oldest="$(mktemp)"
grep '^requirements = ' settings.ini | sed 's/requirements = //' | tr ' ' '\n' | sed 's/>=\([^,]*\).*/==\1/' > "$oldest"
# strict: a package that cannot be looked up is no package without holes
.venv/bin/pip-audit --strict --requirement .ci/requirements.lock --require-hashes --disable-pip --progress-spinner off
.venv/bin/pip-audit --strict --requirement "$oldest" --no-deps --disable-pip --progress-spinner off
