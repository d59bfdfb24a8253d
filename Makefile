# make study   install, run the three chapters of the thesis at the quick profile, build the site: about 20 minutes on two quiet cores, 2 to 4 of them for the installation
# make test    the same, and all tests, which fail where a check of the site has failed: about 50 minutes on two quiet cores, 30 of them after `make study`
# make help    the rest
SHELL := bash
WINDOWS := $(filter Windows_NT,$(OS))
PYTHON ?= $(if $(WINDOWS),python,python3)
VENV := .venv
BIN := $(VENV)/$(if $(WINDOWS),Scripts,bin)
PROFILE ?= quick
, := ,
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# text files are UTF-8 on every system, and so is what commands print
export PYTHONUTF8 := 1

.PHONY: study test check site readme lint lock results faults install clean help

help:
	@grep -E '^# make' Makefile | sed 's/^# //'
	@echo "others: microvae --help, and the scripts in .ci, each of which says what it is for"
# make install    only set up .venv
# make site       only build the site, from the longest results at hand
# make check      the notebooks' checks alone
# make lint       layout and likely faults of the code (ruff), and type hints (mypy)
# make readme     write README.md from nbs/index.ipynb and nbs/guide
# make results PROFILE=standard CHAPTERS="memory_b brain" REAL=folder    run chapters (all if none is named) and keep their results under results/PROFILE; with REAL=folder also on the public sets below it (hours)
# make faults     the whole of tests/faults: 200 kills, full disks, 10,000 bad files, a million crops, 15 minutes of work (MICROVAE_SOAK=seconds); hours. Figures go to results/reliability
# make lock       take down version and hash of every package that the checks install
# make clean      remove everything that was built; .venv stays

# what fails is named at the end, and shown by its page; a command that fails without noting what ends it all
study:
	@sed -n 's/^# \(make $(or $(filter test,$(MAKECMDGOALS)),study) .*\)/== \1/p' Makefile
	@$(MAKE) --no-print-directory install
	@echo "== three chapters of the thesis at the quick profile"
	@$(BIN)/microvae study --profile quick || cat build/quick/*/failed.json > /dev/null 2>&1
	@echo "== the site: every notebook is executed, with its checks"
	@$(BIN)/microvae book || test -e build/book/failed.json
	@$(BIN)/python -c "from microvae.study.runner import failure_summary, noted_failures; print('==', failure_summary(noted_failures()))"

test: study $(VENV)/.browser lint
	@echo "== exported code equals the notebooks, and each subpackage knows only those before it"
	@$(BIN)/python -m pytest -q tests/test_export.py
	@echo "== the whole program, faults, maths, package, and the site in a browser"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder --durations=15 --durations-min=5 tests --ignore tests/test_export.py
	@echo "== the checks of numbers as other machines would compute them"
	@$(BIN)/python tests/numerics.py --short

# the checks of the notebooks, as nbdev runs them; making the site runs them too, so `make test` need not
check: install
	@OMP_NUM_THREADS=1 $(BIN)/nbdev_test --path nbs --skip_folder_re '^([_.].*|report)$$' --skip_file_re '^page' --n_workers 2

site: install
	@$(BIN)/microvae book || test -e build/book/failed.json

readme: install
	@$(BIN)/python -c "from microvae.book.site import write_readme; write_readme()"

lint: install
	@echo "== layout and likely faults of the code, and its type hints"
	@$(BIN)/ruff check -q && $(BIN)/ruff format -q --check && $(BIN)/ruff check -q --isolated --select F microvae
	@$(BIN)/mypy

results: install
	@$(BIN)/python .ci/results.py --profile $(PROFILE) $(if $(REAL),--real $(REAL)) $(CHAPTERS)

faults: install $(VENV)/.browser
	@$(BIN)/python -m pip install -q atheris || echo "atheris cannot be had here: fuzzing is not guided by coverage"
	@OMP_NUM_THREADS=1 MICROVAE_FAULTS=full $(BIN)/python -m pytest -q tests/faults

install: $(VENV)/.installed

EXTRAS := study,book,imagej,tracks,cluster,excel,czi,lif,nd2,fetch,vision,bench,search,maps,batches,profiles,gui,onnx,anndata,omezarr,hub,tensorboard,dev
LOCK := .ci/requirements.lock

# The lock holds the packages for one Python on one system; there exactly the files whose hashes were taken down are installed, and nothing is resolved. LOCKED= (nothing) resolves there too
LOCKED ?= $(shell $(PYTHON) -c "import platform as p; print('1' * ((p.python_version_tuple()[:2], p.system(), p.machine()) == (('3', '11'), 'Linux', 'x86_64')))")

# Nothing is compiled beforehand: Python compiles what it imports, and most of these files are never imported
$(VENV)/.installed: settings.ini setup.py pyproject.toml $(LOCK)
	@echo "== packages: $(if $(LOCKED),those of $(LOCK)$(,) by hash,the newest that settings.ini allows; $(LOCK) is for Python 3.11 on Linux x86_64)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(if $(LOCKED),$(BIN)/python -m pip install --no-compile --progress-bar on --require-hashes --no-deps -r $(LOCK))
	$(BIN)/python -m pip install --no-compile --progress-bar on $(if $(LOCKED),--no-deps --no-build-isolation )-e '.[$(EXTRAS)]'
	@touch $@

lock: install
	@$(BIN)/python .ci/lock.py $(EXTRAS)

# the browser tests want Chromium; where it is not there and cannot be installed, they say so and are skipped
$(VENV)/.browser: $(VENV)/.installed
	@if $(BIN)/python tests/conftest.py; then true; \
	elif [ "$$(uname)" = Linux ] && [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then apt-get update -qq && apt-get install -y -qq chromium > /dev/null; \
	else $(BIN)/python -m playwright install chromium || echo "Chromium cannot be installed here: the browser tests will be skipped"; fi
	@touch $@

clean:
	rm -rf build _site _docs _proc *.egg-info
