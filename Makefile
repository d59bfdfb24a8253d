# make study   install, run the three phases of the thesis at the quick profile, build the site: about 20 minutes on two cores, 4 of them for the installation
# make test    the same, and all tests, which fail where a check of the site has failed: about 30 minutes on two cores, 10 of them after `make study`
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

.PHONY: numerics duration exported lint map pdf release dependencies lock oldest wheels faults audit again vendor help study test check install site readme results real cases questions gallery bench speed clean

help:
	@grep -E '^# make' Makefile | sed 's/^# //'
# make install    only set up .venv
# make site       only build the site, from the longest results at hand
# make readme     write README.md from nbs/index.ipynb and nbs/guide
# make map        train the network of the front page's map, and draw its picture
# make results PROFILE=standard    run all phases at a profile and keep their results under results/ (hours)
# make real REAL=folder    run all phases on the two public sets below a folder, and keep the results under results/real
# make cases PROFILE=quick    run the four cases of the other reports and keep their results under results/PROFILE; with REAL=folder the surfaces are the public micrographs below it, and the digits MNIST's
# make questions PROFILE=quick    run phases 4 to 8 and keep their results under results/PROFILE; with REAL=folder on the public sets below it as well
# make check      the notebooks' checks alone
# make numerics   the checks of numbers again, in six settings of threads, instructions and precision; FULL=1 takes all 24
# make gallery REAL=folder    make the gallery's pictures from the public sets below a folder, and keep them under results/gallery
# make bench REAL=folder    measure how images come in, and segmentation on the labelled fields of dsb2018_nuclei below a folder, and keep them under results/benchmarks
# make speed      train the same networks here and with plain PyTorch, pythae and Lightning, and keep the tables under results/speed
# make again PROFILE=quick    make the tables of phases 1 to 3 anew, and compare them with those under results/PROFILE
# make faults     the whole of tests/faults: 200 kills, full disks, 10,000 bad files, a million crops, 15 minutes of work (MICROVAE_SOAK=seconds); hours. Figures go to results/reliability
# make oldest PYTHON=python3.10    the tests with the oldest packages that settings.ini allows
# make wheels     build wheel and sdist, and install them in an empty environment of each Python at hand
# make release VERSION=0.1.0    check version, changelog and citation, build wheel and sdist, and run the README's example with the wheel in an empty environment
# make dependencies    ask the package index when each requirement was last released, and measure installation and import (needs the network)
# make lint       layout and likely faults of the code (ruff), and type hints (mypy)
# make pdf        the report as one PDF, printed by Chromium
# make lock       take down version and hash of every package that the checks install
# make audit      look the locked packages up among known vulnerabilities (needs the network)
# make vendor     fetch again, with npm, what the explorer's page carries: d3 and onnxruntime-web
# make clean      remove everything that was built; .venv stays

# what fails is named at the end, and shown by its page; a command that fails without noting what ends it all
study: duration install
	@echo "== three phases of the thesis at the quick profile"
	@$(BIN)/microvae study --profile quick || cat build/quick/phase[123]/failed.json > /dev/null 2>&1
	@echo "== the site: every notebook is executed, with its checks"
	@$(BIN)/microvae book || test -e build/book/failed.json
	@$(BIN)/python -c "from microvae.study.runner import in_words, noted_failures; print('==', in_words(noted_failures()))"

duration:
	@sed -n 's/^# \(make $(or $(filter test,$(MAKECMDGOALS)),study) .*\)/== \1/p' Makefile

test: study $(VENV)/.browser
	@$(MAKE) --no-print-directory -j 2 lint exported
	@echo "== the whole program, faults, maths, package, and the site in a browser"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder --durations=15 --durations-min=5 tests --ignore tests/test_export.py
	@echo "== the checks of numbers as other machines would compute them"
	@$(BIN)/python tests/numerics.py --short

exported: install
	@echo "== exported code equals the notebooks, and each room knows only the rooms before it"
	@$(BIN)/python -m pytest -q tests/test_export.py

# another machine has other threads and instructions, and may choose another precision
numerics: install
	@$(BIN)/python tests/numerics.py $(if $(FULL),--full)

# the checks of the notebooks, as nbdev runs them; making the site runs them too, so `make test` need not
check: install
	@OMP_NUM_THREADS=1 $(BIN)/nbdev_test --path nbs --skip_folder_re '^([_.].*|phases|cases|report)$$' --n_workers 2

site: install
	@$(BIN)/microvae book || test -e build/book/failed.json

readme: install
	@$(BIN)/python -c "from microvae.book.site import write_readme; write_readme()"

map: install
	@$(BIN)/python -c "from microvae.app.map import draw_map, train_map; train_map(); draw_map()"

results: install
	@$(BIN)/microvae study --profile $(PROFILE)
	@mkdir -p results/$(PROFILE)
	@for phase in 1 2 3; do rm -rf results/$(PROFILE)/phase$$phase; cp -r build/$(PROFILE)/phase$$phase/results results/$(PROFILE)/phase$$phase; done

real: install
	@$(BIN)/microvae study --phase 2 --data dsb2018_nuclei --data-folder $(REAL)/dsb2018_nuclei --cells 3000 --epochs 15 --out build/real
	@$(BIN)/microvae study --phase 3 --data dsb2018_nuclei --data-folder $(REAL)/dsb2018_nuclei --cells 1200 --epochs 8 --out build/real
	@$(BIN)/microvae study --phase 1 --data kc167_cells --data-folder $(REAL)/kc167_three_channel --cells 200 --epochs 8 --out build/real
	@mkdir -p results/real
	@for phase in 1 2 3; do rm -rf results/real/phase$$phase; cp -r build/real/phase$$phase/results results/real/phase$$phase; done

cases: install
	@$(BIN)/microvae study --profile $(PROFILE) --case brain --case endoscopy
	@$(BIN)/microvae study --profile $(PROFILE) --case surfaces $(if $(REAL),--data lipss_sem --data-folder $(REAL)/lipss_sem)
	@$(BIN)/microvae study --profile $(PROFILE) --case autoencoders $(if $(REAL),--set digits=mnist --set digits_folder=$(REAL)/mnist_t10k)
	@mkdir -p results/$(PROFILE)
	@for case in surfaces brain endoscopy autoencoders; do rm -rf results/$(PROFILE)/$$case; cp -r build/$(PROFILE)/$$case/results results/$(PROFILE)/$$case; done

questions: install
	@$(BIN)/microvae study --profile $(PROFILE) --phase 6 --phase 8
	@$(BIN)/microvae study --profile $(PROFILE) --phase 4 $(if $(REAL),--data memory_b$(,)lung_fret$(,)blood_cells --data-folder $(REAL)/bccd_blood_cells)
	@$(BIN)/microvae study --profile $(PROFILE) --phase 5 $(if $(REAL),--data memory_b$(,)lung_fret$(,)blood_cells$(,)dsb2018_kinds --data-folder $(,)$(,)$(REAL)/bccd_blood_cells$(,)$(REAL)/dsb2018_nuclei)
	@$(BIN)/microvae study --profile $(PROFILE) --phase 7 $(if $(REAL),--data memory_b$(,)phase_contrast$(,)stained_nuclei$(,)dsb2018_stained$(,)blood_cells$(,)kc167_three$(,)ht29_cells$(,)hela_patches --data-folder $(,)$(,)$(,)$(REAL)/dsb2018_nuclei$(,)$(REAL)/bccd_blood_cells$(,)$(REAL)/kc167_three_channel$(,)$(REAL)/ht29_three_channel$(,)$(REAL)/hela_three_channel)
	@mkdir -p results/$(PROFILE)
	@for phase in rule downstream disentangle modalities orientation; do rm -rf results/$(PROFILE)/$$phase; cp -r build/$(PROFILE)/$$phase/results results/$(PROFILE)/$$phase; done

gallery: install
	@$(BIN)/python -c "from microvae.book.gallery import make_gallery; make_gallery('$(REAL)')"

bench: install
	@$(BIN)/microvae bench data --fields $(REAL)/dsb2018_nuclei/fluorescence

speed: install
	@$(BIN)/microvae bench

install: $(VENV)/.installed

EXTRAS := study,book,tracks,cluster,excel,fetch,bench,search,maps,onnx,anndata,omezarr,hub,tensorboard,dev
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

# the oldest versions that settings.ini allows, and the tests that need nothing else
oldest:
	@test -x .venv-oldest/bin/python || $(PYTHON) -m venv .venv-oldest
	@grep '^requirements = ' settings.ini | sed 's/requirements = //' | tr ' ' '\n' | sed 's/>=\([^,]*\).*/==\1/' > .venv-oldest/oldest.txt
	@.venv-oldest/bin/python -m pip install -q -r .venv-oldest/oldest.txt pytest hypothesis playwright torchinfo
	@.venv-oldest/bin/python -m pip install -q --no-deps -e .
	@OMP_NUM_THREADS=1 .venv-oldest/bin/python -m pytest -q tests/test_maths.py tests/test_same_numbers.py tests/test_bad_input.py tests/test_runs.py tests/test_training.py tests/test_shapes.py tests/test_architectures.py tests/faults/test_nothing_runs.py tests/faults/test_fuzz.py tests/faults/test_full_disk.py

# wheel and sdist, each into an empty environment of each Python at hand, where the README's first example must run
wheels: install
	@$(BIN)/python .ci/wheels.py

release: install
	@$(BIN)/python .ci/release.py $(VERSION) dist

dependencies: install
	@$(BIN)/python .ci/dependencies.py

pdf: install
	@$(BIN)/microvae book --pdf microvae.pdf

lint: install
	@echo "== layout and likely faults of the code, and its type hints"
	@$(BIN)/ruff check -q && $(BIN)/ruff format -q --check && $(BIN)/ruff check -q --isolated --select F microvae
	@$(BIN)/mypy

faults: install $(VENV)/.browser
	@$(BIN)/python -m pip install -q atheris || echo "atheris cannot be had here: fuzzing is not guided by coverage"
	@OMP_NUM_THREADS=1 MICROVAE_FAULTS=full $(BIN)/python -m pytest -q tests/faults

audit: install
	@$(BIN)/python -m pip install -q pip-audit && $(BIN)/pip-audit --requirement $(LOCK) --require-hashes --disable-pip --progress-spinner off

again: install
	@$(BIN)/microvae study --profile $(PROFILE) --out build/again --runs build/again/runs
	@$(BIN)/microvae compare results/$(PROFILE) build/again

# the browser tests want Chromium; where it is not there and cannot be installed, they say so and are skipped
$(VENV)/.browser: $(VENV)/.installed
	@if $(BIN)/python tests/conftest.py; then true; \
	elif [ "$$(uname)" = Linux ] && [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then apt-get update -qq && apt-get install -y -qq chromium > /dev/null; \
	else $(BIN)/python -m playwright install chromium || echo "Chromium cannot be installed here: the browser tests will be skipped"; fi
	@touch $@

STATIC := $(CURDIR)/microvae/app/static

vendor:
	@cd "$$(mktemp -d)" && npm pack --silent d3@7.9.2 onnxruntime-web@1.30.0 > /dev/null && mkdir d3 ort && tar xzf d3-7.9.2.tgz -C d3 && tar xzf onnxruntime-web-1.30.0.tgz -C ort \
	 && cp d3/package/dist/d3.min.js ort/package/dist/ort.wasm.bundle.min.mjs "$(STATIC)" && gzip -9 -n -c ort/package/dist/ort-wasm-simd-threaded.wasm > "$(STATIC)/ort-wasm-simd-threaded.wasm.gz" \
	 && cd "$(STATIC)" && sha256sum -c THIRD_PARTY.sha256

clean:
	rm -rf build _site _docs _proc *.egg-info
