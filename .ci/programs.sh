#!/usr/bin/env bash
# Tests of what other programs read, with these programs: scanpy, squidpy, SpatialData, napari, bioimageio.core, pycytominer and copairs.
# They do not fit into the lock: spatialdata needs an older Dask than the packages of the checks.
#
#   .ci/programs.sh [PYTHON]
set -euo pipefail
cd "$(dirname "$0")/.."
home=.venv-programs
test -x $home/bin/python || "${1:-python3}" -m venv $home
$home/bin/python -m pip install -q --no-compile -e '.[anndata,spatialdata,bioimageio,napari,profiles,onnx]' scanpy squidpy leidenalg pyqt6 pytest
# napari draws with OpenGL, which needs a screen; where none can be made, Qt draws into memory and the test of its whole window is skipped
screen=(env QT_QPA_PLATFORM=offscreen)
command -v xvfb-run > /dev/null && screen=(xvfb-run -a env QT_QPA_PLATFORM=xcb)
OMP_NUM_THREADS=1 "${screen[@]}" $home/bin/python -m pytest -q -rs tests/test_single_cell.py tests/test_napari.py tests/test_model_zoo.py tests/test_profiles.py
