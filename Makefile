# Two commands do everything on a fresh machine with Python 3.11 or later: `make demo` and `make test`.

PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo test test-versions fuzz lint types soak bench bench-latency lock outdated sbom wheels bundle image clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/installed ## an embedded Elasticsearch, a sample log indexed, what is in it
	$(BIN)/indexer demo

# Two at once: most tests wait for a server half of their time.
PYTEST := $(BIN)/pytest --numprocesses $(or $(PROCESSES),2) --dist worksteal

# The container tests are one stack, so one process; they are skipped where there is no Docker.
test: .venv/installed ## all tests; `.ci/docker make test` provides Docker for the container tests
	$(PYTEST) --ignore tests/containers
	$(BIN)/pytest tests/containers

# The servers that Zoomdata's own connectors read.
OLDER := 8.19.16 7.17.28
OPENSEARCH := 2.19.6 2.17.0
# FEWER leaves out what is about this machine and not about the server, and what takes long and the newest server shows.
MACHINE := commands disk_faults kill resources signals surroundings two_nodes embedded demo logback logrotate archives \
	systemd hostile_files report_injection outside_delivery monitoring verify follow two_indexers server_faults templates_tampered \
	zoomdata seal_commands seal_histories report summary odd_data rejected cluster opensearch_security segment_replication alias_moved
FEWER := $(MACHINE:%=--ignore tests/integration/test_%.py)
ON = $(PYTEST) $(if $(QUICK),$(FEWER)) --elasticsearch-version

test-versions: .venv/installed ## integration tests on Elasticsearch 8.19 and 7.17, OpenSearch 2.19 and 2.17; need Java 17 (QUICK=1: fewer)
	set -e; for version in $(OLDER); do $(ON) $$version tests/integration; done
	set -e; for version in $(OPENSEARCH); do $(ON) $$version tests/integration tests/alerts; done

fuzz: .venv/installed ## fuzz what reads foreign bytes, each target for SECONDS=60
	FUZZ_SECONDS=$(or $(SECONDS),60) $(PYTEST) --timeout 0 tests/fuzz

lint: .venv/installed ## ruff, formatting, the layers of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-cache

types: .venv/installed ## mypy
	$(BIN)/mypy

soak: .venv/installed ## random faults against a real server for MINUTES=5 (SEED=… repeats a run)
	$(BIN)/python tests/soak/soak.py --minutes $(or $(MINUTES),5) $(if $(SEED),--seed $(SEED))

bench: .venv/installed ## throughput, mapping and verify as ratios measured side by side; some minutes
	$(BIN)/python tests/bench/throughput.py
	$(BIN)/python tests/bench/mapping.py
	$(BIN)/python tests/bench/verify.py
	$(BIN)/python tests/bench/seals.py

bench-latency: .venv/installed ## from the writing of a line to its acknowledgement
	$(BIN)/python tests/bench/latency.py

# With checksums, for every Python and machine that the image may be built for.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

lock: .venv/installed ## write the image's lock files (UPGRADE=--upgrade: newest versions)
	$(LOCK) $(UPGRADE) --extra seal --output-file compose/requirements.txt pyproject.toml
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' \
		| $(LOCK) $(UPGRADE) --output-file compose/build-requirements.txt -

outdated: .venv/installed ## how old the lock files are, and what an upgrade would change
	PATH=$(BIN):$$PATH $(BIN)/python -m tests.containers.locked outdated

sbom: .venv/installed ## bill of materials of the image's packages: build/sbom.cdx.json
	mkdir -p build
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m tests.containers.locked sbom > build/sbom.cdx.json

wheels: .venv/installed ## download the image's packages, for a build without a registry (PYTHON_VERSION=3.13)
	$(BIN)/python tests/containers/wheels.py $(or $(PYTHON_VERSION),3.13)

bundle: .venv/installed ## one archive of all wheels, checked, to install without a network: dist/
	$(BIN)/python -m tests.containers.bundle

image: ## build the container image (BASE=… TAG=…)
	docker build --file compose/Dockerfile --tag $(or $(TAG),zoomdata-indexer) $(if $(BASE),--build-arg BASE=$(BASE)) \
		--build-arg VERSION=$$(sed -n 's/__version__ = "\(.*\)"/\1/p' indexer/__init__.py) \
		--build-arg REVISION=$$(git rev-parse HEAD) --build-arg SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) .

.venv/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=...")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[embedded,report,seal]' --group dev
	touch $@

clean: ## remove the virtual environment, caches and builds
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
