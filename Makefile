# Two commands set everything up: `make run` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# Modules are compiled once and not at every start, whatever the shell says.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run setup test check docs format bench soak clean
run: setup
	$(BIN)/flowbuilder run examples/quickstart/flow.yaml

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m compileall -q src
	touch $@

# The servers that tests of `sql` start; without them those are skipped (and fail under CI).
SERVERS := $(shell command -v mariadbd /usr/sbin/mariadbd >/dev/null && ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && echo there)

.PHONY: servers
servers:
ifneq ($(SERVERS),there)
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	    postgresql mariadb-server-core mariadb-client-core >/dev/null; \
	else echo "tests of sql are skipped: apt-get install postgresql mariadb-server-core mariadb-client-core"; fi
endif

test: setup servers
	$(BIN)/pytest -q -n auto --maxprocesses 8 --dist worksteal

check: setup docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Generated parts are made from the code as the pages are built, so they are always current.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup
	$(BIN)/python -m benchmarks

soak: setup
	HYPOTHESIS_PROFILE=soak $(BIN)/pytest -q -s -m soak --timeout 3600 tests/faults tests/property

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache site build dist
