PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin
SPEED ?= 1
FARMS ?= 12
TURBINES ?= 42

.PHONY: env demo test check bench lock clean

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

check: env
	$(RUN)/ruff check .
	$(RUN)/mypy

bench: env
	$(RUN)/twingraph bench all

# Rewrites the hashed lock from pyproject.toml; needs uv, records no address.
lock:
	uv pip compile pyproject.toml --extra all --extra dev --universal --python-version 3.11 --prerelease if-necessary-or-explicit \
	  --generate-hashes --no-annotate --no-header --no-emit-index-url --quiet --output-file requirements.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
