PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin
SPEED ?= 1
FARMS ?= 12
TURBINES ?= 42

.PHONY: env dev demo test test-fast check docs proto bench lock sbom scan clean

PIP = $(RUN)/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes --requirement

# What use needs; `make dev` adds what development needs, in the same versions.
env: $(VENV)/ready

$(VENV)/ready: requirements.runtime.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Twingraph needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; set PYTHON=python3.x") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(PIP) requirements.runtime.lock
	$(RUN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

dev: $(VENV)/dev

$(VENV)/dev: $(VENV)/ready requirements.lock
	$(PIP) requirements.lock
	@touch $@

demo: env
	@exec $(RUN)/twingraph demo --speed $(SPEED) --farms $(FARMS) --turbines $(TURBINES)

test: check
	$(RUN)/pytest $(ARGS)

# Without Neo4j, broker and other servers: for the time between two edits.
test-fast: dev
	$(RUN)/pytest --fast $(ARGS)

check: dev
	$(RUN)/ruff check .
	$(RUN)/ruff format --check --quiet .
	$(RUN)/mypy

# The pages made from the code written anew, and all pages as a site in site/, checked for dead links.
docs: dev
	$(RUN)/python .ci/reference.py
	NO_MKDOCS_2_WARNING=1 $(RUN)/mkdocs build --strict --quiet

PROTOS = ingest/sparkplug/sparkplug.proto ingest/payload/prometheus.proto
proto: dev
	$(RUN)/python -m grpc_tools.protoc --proto_path=. --python_out=. --pyi_out=. $(PROTOS)

bench: dev
	$(RUN)/twingraph bench all

# Rewrites the hashed locks from pyproject.toml, with what is newest: all, and what runs without development packages.
# Needs uv; records no address.
COMPILE = uv pip compile pyproject.toml --universal --python-version 3.11 --prerelease if-necessary-or-explicit --upgrade \
  --generate-hashes --no-annotate --no-header --no-emit-index-url --quiet
lock:
	$(COMPILE) --extra all --extra build --extra dev --output-file requirements.lock
	$(COMPILE) --extra all --extra build --constraint requirements.lock --output-file requirements.runtime.lock

# The parts of what is delivered, as CycloneDX; and which of them a file of advisories (OSV: a .zip or a folder) is about.
sbom: dev
	$(RUN)/python .ci/sbom.py > sbom.cdx.json

scan: dev
	$(RUN)/python .ci/scan.py $(ADVISORIES)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
