# make lab    set up .venv and open JupyterLab on a copy of the quick start in notebooks/, which git ignores and which
#             is yours: it is never written over  (ARGS="--no-browser --port=8899" go to JupyterLab)
# make test   set up, and run what a change must pass before it is committed: lint, front-end, tests, the quick start
#             (ARGS="-k heatmap" go to pytest; WORKERS=0 runs one test after the other in one process, for a debugger)
# make test-all   the same and the tests that are marked long: every family, journey and notebook, device calls, faults
# make lock   write requirements.lock, the exact versions that all these install  (ARGS=--upgrade takes the newest; needs uv)
# make test-oldest   run the tests without a browser in .venv-oldest, where every dependency is at its lower bound
# make test-newest   run them in .venv-newest, where every dependency is the newest release of today
# make lint   ruff, mypy, biome and tsc
# make bench  run the benchmarks  (ARGS go to each of them; BENCHMARKS=sweep picks one)
# make validate   tables of what verdicts are worth: coverage of intervals, false positives of directions that mean
#             nothing, power on planted effects, models with shuffled weights, models of known truth, what answers say,
#             images called unlike, answers by tokens, layer and dose, what perplexity calls broken, answers after clicks in the lab
#             and of cells that pass by score, on unseen images
#             (ARGS="coverage" picks a part, ARGS="--quick" is shorter)
# make faults  what becomes of a store when processes are killed, frozen and interrupted, disks are full and files are
#             damaged: one line for each promise, with counts; a disk that runs full is mounted, which needs root
#             (ARGS="killed-alone damaged" picks promises, ARGS="--quick" is shorter)
# make soak   1,000 moves of a panel and 50 sweeps in one process: memory, tensors, hooks, threads and files at checkpoints
#             (ARGS="--moves 100 --sweeps 10" is shorter)
# make gpu    run in at most 20 minutes, on a machine with CUDA, all that needs a GPU  (ARGS="--only sweep" picks a part;
#             ARGS="--dry" runs every part on the CPU at tiny sizes)
# make against OTHER=../other   the same benchmarks of this checkout and of another one in turns, and their ratios
#
# PIP_ARGS goes to pip, e.g. an index that has the CPU build of torch; PYTHON picks the interpreter (3.11 or later).
# LOCK= installs what pip chooses instead of the versions of requirements.lock.

PIP_ARGS ?=
LOCK ?= requirements.lock
ARGS ?=
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

BIN := .venv/bin
# Bytecode is kept, whatever the surroundings say: many processes are started, and each would compile all anew.
WITH_BYTECODE := PYTHONDONTWRITEBYTECODE=
RUN := PATH="$(CURDIR)/$(BIN):$$PATH" OMP_NUM_THREADS=1 $(WITH_BYTECODE)
PYTEST := $(RUN) $(BIN)/python -m pytest
QUICKSTART := tutorials/00_quickstart.ipynb
NOTEBOOK := notebooks/00_quickstart.ipynb
# JupyterLab's file browser is closed at first; what is open and how wide it is is kept here afterwards.
WORKSPACE := notebooks/.workspaces/default-37a8.jupyterlab-workspace
# Three on two cores took a fifth longer.
WORKERS ?= 2
# Tests of the locked versions hold where these are installed.
UNLOCKED = $(if $(LOCK),, and not locked)
SHARED_OUT = -n $(WORKERS) --dist loadfile --nbval-lax --nbval-cell-timeout=600
OLDEST := .venv-oldest/bin
NEWEST := .venv-newest/bin
INSTALL = $(BIN)/python .ci/install.py --lock "$(LOCK)" --goal $(or $(firstword $(MAKECMDGOALS)),lab) --
BENCHMARKS ?= capture latency growth sweep first_sweep prompt_sweep patch first_frame first_answer widgets

.PHONY: lab test test-all lock test-oldest test-newest lint bench validate faults soak gpu against frontend browser
.DELETE_ON_ERROR:

# binder/jupyter holds JupyterLab's settings, which Binder takes too: widgets are saved with the notebook, no question about
# news, file browser closed. JupyterLab's folder is the one it is started in, so that ARGS can name another; the notebook is
# opened where ARGS leave that folder and the page alone.
OPENED = $(if $(or $(findstring root_dir,$(ARGS)),$(findstring default_url,$(ARGS))),,--LabApp.default_url=/lab/tree/$(NOTEBOOK))
lab: .venv/lab.stamp $(NOTEBOOK) $(WORKSPACE)
	@test ! $(QUICKSTART) -nt $(NOTEBOOK) || echo "$(QUICKSTART) is newer than your $(NOTEBOOK): move yours away to get it."
	$(WITH_BYTECODE) JUPYTER_CONFIG_PATH="$(CURDIR)/binder/jupyter$${JUPYTER_CONFIG_PATH:+:$$JUPYTER_CONFIG_PATH}" \
		JUPYTERLAB_WORKSPACES_DIR="$(CURDIR)/$(dir $(WORKSPACE))" \
		$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) $(OPENED) $(ARGS)

# No prerequisite: a newer quick start must not replace a copy that was edited.
$(NOTEBOOK):
	mkdir -p $(@D)
	cp $(QUICKSTART) $@

$(WORKSPACE):
	mkdir -p $(@D)
	cp binder/jupyter/workspaces/$(@F) $@

# Tests of one file stay in one worker, and all that drive a browser are in the same (tests/conftest.py).
test: lint frontend browser
	$(PYTEST) $(SHARED_OUT) -m "not long$(UNLOCKED)" tests tutorials $(ARGS)

test-all: lint frontend browser
	$(PYTEST) $(SHARED_OUT) -m "$(if $(LOCK),,not locked)" tests tutorials $(ARGS)

lock:
	@command -v uv >/dev/null || { echo "make lock needs uv, which resolves for all platforms at once: pip install uv"; exit 1; }
	uv run --quiet --no-project --with packaging .ci/lock.py $(ARGS)

test-oldest: .venv-oldest/stamp
	PATH="$(CURDIR)/$(OLDEST):$$PATH" OMP_NUM_THREADS=1 $(OLDEST)/python -m pytest -n $(WORKERS) --dist loadfile \
		-m "not browser and not locked" tests $(ARGS)

# No stamp: what is newest changes from day to day.
test-newest:
	test -x $(NEWEST)/python || $(PYTHON) -m venv .venv-newest
	$(NEWEST)/python -m pip install --no-compile --upgrade --upgrade-strategy eager $(PIP_ARGS) -e ".[test]"
	PATH="$(CURDIR)/$(NEWEST):$$PATH" OMP_NUM_THREADS=1 $(WITH_BYTECODE) $(NEWEST)/python -m pytest -n $(WORKERS) --dist loadfile \
		-m "not browser and not locked" tests $(ARGS)

# PyTorch is the newest that pip finds: CPU builds of older ones are not on PyPI, and its own bound is not tested here.
.venv-oldest/stamp: pyproject.toml .ci/lower_bounds.py
	$(PYTHON) -m venv --clear .venv-oldest
	$(OLDEST)/python .ci/lower_bounds.py pyproject.toml --leave torch torchvision > .venv-oldest/constraints.txt
	$(OLDEST)/python -m pip install $(PIP_ARGS) -c .venv-oldest/constraints.txt -e ".[test]"
	touch $@

lint: .venv/test.stamp widgets/node_modules/.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd widgets && $(RUN) npm run --silent check

frontend: .venv/test.stamp widgets/node_modules/.stamp
	cd widgets && $(RUN) npm test --silent

browser: .venv/test.stamp
	$(RUN) sh .ci/browser

bench: .venv/bench.stamp $(if $(filter widgets,$(BENCHMARKS)),browser)
	for file in $(BENCHMARKS); do echo "== $$file"; $(RUN) $(BIN)/python benchmarks/$$file.py $(ARGS) || exit 1; done

validate: .venv/test.stamp
	$(RUN) $(BIN)/python -m validation $(ARGS)

faults: .venv/test.stamp
	$(RUN) $(BIN)/python -m tests.faults $(ARGS)

soak: .venv/test.stamp
	$(RUN) $(BIN)/python -m tests.faults.soak $(ARGS)

# Its last part looks for a browser by itself: without one, the other parts run all the same.
gpu: .venv/bench.stamp .venv/test.stamp
	$(RUN) $(BIN)/python benchmarks/gpu.py $(ARGS)

against: .venv/bench.stamp browser
	$(RUN) $(BIN)/python benchmarks/against.py $(ARGS) --other "$(OTHER)"

# A bare machine needs nothing but make and Python; pyproject.toml and the lock decide when to install again.
$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later was not found; install it or pass PYTHON=/path/to/python."; exit 1; }
	$(PYTHON) -m venv .venv || { rm -rf .venv; echo "This Python lacks venv (on Debian: apt install python3-venv)."; exit 1; }

# Compiling all of PyTorch and transformers is half of an installation's time; what is imported is compiled then, and kept.
.venv/%.stamp: pyproject.toml $(LOCK) | $(BIN)/python
	@date +%s > $@.begun
	@$(INSTALL) --no-compile $(PIP_ARGS) -e ".[$*]"
	$(if $(filter bench,$*),@$(INSTALL) $(PIP_ARGS) --no-deps $(STEERING_VECTORS))
	@echo "set-up of .venv for $*: $$(($$(date +%s) - $$(cat $@.begun))) s"
	@rm $@.begun
	touch $@ $(if $(filter test,$*),.venv/lab.stamp)

# Its code runs with the newest transformers, but what it declares would bring back one before 5; .ci/lock.py says which versions.
STEERING_VECTORS := steering-vectors

widgets/node_modules/.stamp: widgets/package-lock.json | .venv/test.stamp
	cd widgets && $(RUN) npm ci --no-audit --no-fund
	touch $@
