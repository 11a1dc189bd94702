PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin
SPEED ?= 1
FARMS ?= 12
TURBINES ?= 42

.PHONY: env demo test test-fast check bench lock sbom scan clean

env: $(VENV)/ready

$(VENV)/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Twingraph needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; set PYTHON=python3.x") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes --requirement requirements.lock
	$(RUN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: env
	@exec $(RUN)/twingraph demo --speed $(SPEED) --farms $(FARMS) --turbines $(TURBINES)

test: env
	$(RUN)/ruff check .
	$(RUN)/mypy
	$(RUN)/pytest $(ARGS)

# Without Neo4j, broker and other servers: for the time between two edits.
test-fast: env
	$(RUN)/pytest --fast $(ARGS)

check: env
	$(RUN)/ruff check .
	$(RUN)/mypy

bench: env
	$(RUN)/twingraph bench all

# Rewrites the hashed locks from pyproject.toml, with what is newest: all, and what runs without development packages.
# Needs uv; records no address.
COMPILE = uv pip compile pyproject.toml --universal --python-version 3.11 --prerelease if-necessary-or-explicit --upgrade \
  --generate-hashes --no-annotate --no-header --no-emit-index-url --quiet
lock:
	$(COMPILE) --extra all --extra dev --output-file requirements.lock
	$(COMPILE) --extra all --constraint requirements.lock --output-file requirements.runtime.lock

# The parts of what is delivered, as CycloneDX; and which of them a file of advisories (OSV: a .zip or a folder) is about.
sbom: env
	$(RUN)/python .ci/sbom.py > sbom.cdx.json

scan: env
	$(RUN)/python .ci/scan.py $(ADVISORIES)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
