#!/usr/bin/env bash
# Makes the tables of the thesis' chapters anew, and compares them with those under results/PROFILE.
set -euo pipefail
cd "$(dirname "$0")/.."
profile=${1:-quick}
.venv/bin/microvae study --profile "$profile" --out build/again --runs build/again/runs
.venv/bin/microvae compare "results/$profile" build/again
