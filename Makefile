# Two commands do everything on a fresh machine with Python 3.11 or later: `make demo` and `make test`.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-versions lint types soak bench bench-latency clean

demo: .venv/installed
	$(BIN)/indexer demo

# Two at once: most tests wait for a server half of their time.
PYTEST := $(BIN)/pytest --numprocesses 2 --dist worksteal

test: .venv/installed
	$(PYTEST)

# The servers that Zoomdata's own connectors read; they need a Java 17.
test-versions: .venv/installed
	$(PYTEST) --elasticsearch-version 8.19.16 tests/integration
	$(PYTEST) --elasticsearch-version 7.17.28 tests/integration

lint: .venv/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: .venv/installed
	$(BIN)/mypy

# Random faults against a real server; SEED repeats a run's decisions.
soak: .venv/installed
	$(BIN)/python tests/soak/soak.py --minutes $(or $(MINUTES),5) $(if $(SEED),--seed $(SEED))

# Ratios measured side by side; some minutes.
bench: .venv/installed
	$(BIN)/python tests/bench/throughput.py
	$(BIN)/python tests/bench/mapping.py
	$(BIN)/python tests/bench/verify.py

bench-latency: .venv/installed
	$(BIN)/python tests/bench/latency.py

.venv/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=...")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[embedded]' --group dev
	touch $@

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
