#!/usr/bin/env bash
# Looks the locked packages up among known vulnerabilities (needs the network).
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/python -m pip install -q pip-audit
.venv/bin/pip-audit --requirement .ci/requirements.lock --require-hashes --disable-pip --progress-spinner off
