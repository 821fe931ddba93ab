# Two commands do everything on a fresh machine with Python 3.11 or later: `make demo` and `make test`.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-versions fuzz lint types soak bench bench-latency lock outdated sbom wheels image clean

demo: .venv/installed
	$(BIN)/indexer demo

# Two at once: most tests wait for a server half of their time.
PYTEST := $(BIN)/pytest --numprocesses 2 --dist worksteal

# The container tests are skipped where there is no Docker; `.ci/docker make test` provides one. They are one stack: one process.
test: .venv/installed
	$(PYTEST) --ignore tests/containers
	$(BIN)/pytest tests/containers

# The servers that Zoomdata's own connectors read; they need a Java 17.
# FEWER leaves out what is about this machine and not about the server.
MACHINE := commands disk_faults kill resources signals surroundings two_nodes embedded demo logback logrotate archives \
	hostile_files report_injection outside_delivery monitoring
FEWER := $(MACHINE:%=--ignore tests/integration/test_%.py)

test-versions: .venv/installed
	$(PYTEST) $(if $(QUICK),$(FEWER)) --elasticsearch-version 8.19.16 tests/integration
	$(PYTEST) $(if $(QUICK),$(FEWER)) --elasticsearch-version 7.17.28 tests/integration

# What reads foreign bytes, each target for a minute (SECONDS=…); `make test` goes through some hundred examples of each.
fuzz: .venv/installed
	FUZZ_SECONDS=$(or $(SECONDS),60) $(PYTEST) --timeout 0 tests/fuzz

lint: .venv/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-cache

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

# The packages of the image, with checksums, for every Python and machine that it may be built for.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

lock: .venv/installed
	$(LOCK) $(UPGRADE) --output-file compose/requirements.txt pyproject.toml
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' \
		| $(LOCK) $(UPGRADE) --output-file compose/build-requirements.txt -

# How old the lock files are, and which newer versions the package index has.
outdated: .venv/installed
	PATH=$(BIN):$$PATH $(BIN)/python -m tests.containers.locked outdated

# The bill of materials of the image's packages, CycloneDX, dated as the commit is.
sbom: .venv/installed
	mkdir -p build
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m tests.containers.locked sbom > build/sbom.cdx.json

# For an image that is built where no registry can be reached; PYTHON_VERSION is that of the image's base.
wheels: .venv/installed
	$(BIN)/python tests/containers/wheels.py $(or $(PYTHON_VERSION),3.13)

image:
	docker build --file compose/Dockerfile --tag $(or $(TAG),zoomdata-indexer) $(if $(BASE),--build-arg BASE=$(BASE)) \
		--build-arg VERSION=$$(sed -n 's/__version__ = "\(.*\)"/\1/p' indexer/__init__.py) \
		--build-arg REVISION=$$(git rev-parse HEAD) --build-arg SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) .

.venv/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=...")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[embedded,report]' --group dev
	touch $@

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
