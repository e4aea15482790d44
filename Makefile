# The two commands of a newcomer are `make run` and `make test`. Each makes the environment first, once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: run test demo check lint types manual bench clean

run: $(READY)
	@$(BIN)/darkroom run -c config.yaml

test: $(READY)
	$(BIN)/pytest --numprocesses auto --dist worksteal

demo: $(READY)
	@$(BIN)/python -m examples.demo

check: lint types test

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

manual: $(READY)
	$(BIN)/python -m manual

bench: $(READY)
	$(BIN)/python -m benchmarks.throughput
	$(BIN)/python -m benchmarks.throughput --memory 20000
	$(BIN)/python -m benchmarks.latency
	$(BIN)/python -m benchmarks.metrics
	$(BIN)/python -m benchmarks.study
	$(BIN)/python -m benchmarks.hybrid
	$(BIN)/python -m benchmarks.tasks
	$(BIN)/python -m benchmarks.style
	$(BIN)/python -m benchmarks.prior

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache

$(READY): pyproject.toml constraints.txt
	@echo "Making the environment in $(VENV) (once; some minutes, most of them for PyTorch)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "darkroom needs Python 3.11 or newer; try make PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,style]'
	@$(BIN)/python -m compileall -q kernels export daemon
	@touch $(READY)
