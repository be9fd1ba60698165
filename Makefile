# The two commands that matter are `make up` and `make test`; `make` alone lists the others.
.DEFAULT_GOAL := help
.PHONY: help up test test-fast check fmt lock schema bench torture hostile schedules-full
.DELETE_ON_ERROR:

PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install -qq --no-input --only-binary :all: --no-deps --require-hashes -r
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --no-emit-index-url
NODE := tests/wire/node/node_modules

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST)

up: .venv/.installed ## run the whole platform here, in the foreground
	@$(BIN)/python -I -S deploy/tether.py 0 15 - 0 $(BIN)/python -m deploy.local

test: check $(NODE) ## everything there is: checks, then all tests (about three quarters of an hour)
	$(BIN)/python -m pytest

$(NODE): tests/wire/node/package-lock.json
	@if command -v npm >/dev/null; then cd $(@D) && npm ci --silent --no-audit --no-fund && touch node_modules; \
	elif [ -n "$$CI" ]; then echo "Node 20 or newer is needed here (nodejs and npm)"; exit 1; \
	else echo "Node is absent: the official Node client is not tested"; fi

test-fast: .venv/.installed-dev ## the tests of every day: all but the slow ones
	$(BIN)/python -m pytest -m "not slow"

check: .venv/.installed-dev ## format, lint, types, and who may import whom
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy . && $(BIN)/lint-imports

fmt: .venv/.installed-dev ## put the source in its one form
	$(BIN)/ruff format . && $(BIN)/ruff check --fix .

lock: .venv/.installed ## pin what pyproject.toml asks for, with hashes
	$(BIN)/python -m pip install -qq uv
	$(COMPILE) pyproject.toml -o requirements.lock
	$(COMPILE) pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock

schema: .venv/.installed-dev ## write store/schema.sql from the migrations
	$(BIN)/python -m tests.store.schema

bench: .venv/.installed-dev ## measure speed and size beside the floor (8 minutes at most)
	$(BIN)/python -m bench

torture: .venv/.installed-dev ## break it under load and check what it promises (MINUTES=3 SEED= SABOTAGE= ONLY=)
	$(BIN)/python -m bench.torture --minutes $(or $(MINUTES),3) $(if $(SEED),--seed $(SEED)) \
	  $(if $(SABOTAGE),--sabotage $(SABOTAGE)) $(if $(ONLY),--only "$(ONLY)")

hostile: .venv/.installed-dev ## send it requests made from its document (REQUESTS=20000 SEED=)
	$(BIN)/python -m bench.hostile --requests $(or $(REQUESTS),20000) $(if $(SEED),--seed $(SEED))

schedules-full: .venv/.installed-dev ## compare all zones, 40 expressions and ten years with the oracle
	nice -n 19 $(BIN)/python -m bench.schedules

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Holdfast needs Python 3.11 or newer; PYTHON=... names one"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv module is missing (Debian: apt install python3-venv)"; exit 1; }
	@$(PYTHON) -m venv .venv

.venv/.installed: requirements.lock .venv/bin/python
	@echo "installing requirements.lock into .venv" && $(INSTALL) $<
	@touch $@

.venv/.installed-dev: requirements-dev.lock .venv/.installed
	@echo "installing requirements-dev.lock into .venv" && $(INSTALL) $<
	@touch $@
