# `make review` and `make audit` show hunkwise on an example. Each target installs what it needs into .venv and node_modules, from locked and hashed versions.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CODE := src tests bench fuzz examples scripts entrypoint.py
TOOLS := PATH="$(CURDIR)/$(BIN):$$PATH"
SCRIPTS := .ci/run $(wildcard scripts/*.sh scripts/*/*.sh scripts/image/*/*.sh examples/server/*.sh)
DOCKERFILES := Dockerfile $(wildcard examples/server/*Dockerfile)
WORKFLOWS := $(wildcard .github/workflows/*.yml examples/workflows/*.yml)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# With --no-deps pip installs the lock and nothing else. Whether each package then has the others that it needs, in
# versions that it accepts, is checked by `pip check`.
PIP_CHECK := $(BIN)/python -m pip check || \
  { echo "The packages in $(VENV) do not fit together. It may hold some of an older lock: run make clean" >&2; exit 1; }
COMPILE := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version=3.11 --generate-hashes --no-strip-extras
# Four processes more than there are cores, since tests also wait: with six on two cores they take 465 s, with four
# 535 s. The tests of one file are distributed too: they can take minutes.
WORKERS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2) + 4)))
TEST := $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --ignore tests/image
# What chooses the steps that test-all runs as processes; printed at its start.
SEED ?= $(shell date +%s)
export PYTHONUNBUFFERED := 1
# So that the tests are compiled once: pytest rewrites their assertions.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help review audit test test-browser test-all image server-images test-image check format docs sbom pictures release-rehearsal fuzz bench setup setup-dev lock clean prerequisites rehearsal-check

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

review: setup ## review a small change with deliberate faults; no account, no network
	@$(BIN)/python examples/show.py

audit: setup ## audit a small repository with deliberate faults, twice; no account, no network
	@$(BIN)/python examples/show.py --audit

test: setup-dev ## run the tests, except for those marked nightly
	@$(TEST) -m "not nightly and not browser"

test-browser: setup-dev ## test the service's status page in a headless Chromium
	@$(BIN)/python -m pytest -n 0 -m browser tests/service

test-all: setup-dev ## run all tests, and a tenth of the steps again as processes (SEED=N chooses which)
	@$(TEST) --durations=20
	@$(TEST) --in-processes 0.1 --seed $(SEED)

image: ## build the container's image with podman or docker (ENGINE=docker); podman needs no registry
	@scripts/image/build.sh

server-images: image ## build the images of examples/server on that of the container
	@scripts/image/servers.sh

test-image: setup-dev server-images ## test the image as GitHub's runner runs it, and examples/server; prints its size and start
	@$(BIN)/python -m pytest -n 0 tests/image

check: setup-dev ## check code, types, scripts, workflows and Dockerfiles; no network
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/mypy
	@$(BIN)/python scripts/check_words.py
	@$(TOOLS) command -v shellcheck >/dev/null || \
	  { echo "make check needs shellcheck, and pip has none for this machine: on Debian, apt-get install shellcheck" >&2; exit 1; }
	@$(TOOLS) shellcheck $(SCRIPTS) && echo "shellcheck: no fault in $(words $(SCRIPTS)) scripts"
	@$(TOOLS) actionlint $(WORKFLOWS) && echo "actionlint: no fault in $(words $(WORKFLOWS)) workflows"
	@$(TOOLS) zizmor --offline --quiet --persona auditor --config .github/zizmor.yml action.yml $(WORKFLOWS) && \
	  echo "zizmor: no finding in $(words $(WORKFLOWS)) workflows"
	@$(TOOLS) hadolint $(DOCKERFILES) && echo "hadolint: no fault in $(words $(DOCKERFILES)) Dockerfiles"

format: setup-dev ## format the code
	@$(BIN)/ruff check --fix $(CODE)
	@$(BIN)/ruff format $(CODE)

docs: setup-dev ## write what is generated in docs/, schemas/ and action.yml
	@$(BIN)/python -m tests.settings.rewrite_published
	@$(BIN)/python -m tests.test_command_line_doc
	@$(BIN)/python scripts/record_terminal.py

sbom: setup-dev ## write the SBOMs of a release: dist/sbom-python.cdx.json and dist/sbom-npm.cdx.json; no network
	@$(BIN)/python scripts/sbom.py

pictures: setup-dev ## draw docs/pictures/ from what a review posts; needs Chromium, pngquant and Noto's fonts
	@$(BIN)/python scripts/pictures.py

release-rehearsal: rehearsal-check setup-dev ## build in dist/ what a release publishes, and use it; pushes nothing
	@$(BIN)/python -m scripts.rehearsal

rehearsal-check: prerequisites
	@$(PYTHON) -m scripts.rehearsal --check

fuzz: setup-dev $(VENV)/.fuzz ## fuzz the parsers of untrusted text, each for SECONDS (60)
	@$(BIN)/python -m fuzz $(or $(SECONDS),60)

bench: setup-dev ## measure; prints a table and writes bench.json
	@$(BIN)/python -m bench

setup: prerequisites $(VENV)/.runtime node_modules/.runtime ## install what a review needs

setup-dev: prerequisites $(VENV)/.dev node_modules/.dev ## install what the tests need

prerequisites:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "hunkwise needs Python 3.11 or newer as \`$(PYTHON)\`: install it, or run make PYTHON=python3.13" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "hunkwise needs Python's venv module: on Debian, apt-get install python3-venv" >&2; exit 1; }
	@command -v npm >/dev/null || \
	  { echo "hunkwise needs Node.js 20 or newer with npm: on Debian, apt-get install nodejs npm" >&2; exit 1; }
	@command -v git >/dev/null || { echo "hunkwise needs git: on Debian, apt-get install git" >&2; exit 1; }

$(VENV)/bin/python:
	@echo "Making $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

# Where the development packages are there, they may still be those of an older lock: their own rule checks.
$(VENV)/.runtime: requirements/runtime.txt requirements/build.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing the Python packages ..."
	@$(PIP) --no-deps --require-hashes -r requirements/runtime.txt -r requirements/build.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@[ -e $(VENV)/.dev ] || $(PIP_CHECK)
	@$(BIN)/python -m compileall -q $(VENV)/lib src
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.runtime
	@echo "Installing the development packages ..."
	@$(PIP) --no-deps --require-hashes -r requirements/dev.txt
	@$(PIP_CHECK)
	@$(BIN)/python -m compileall -q $(VENV)/lib
	@touch $@

$(VENV)/.fuzz: requirements/fuzz.txt $(VENV)/.dev
	@echo "Installing the fuzzer ..."
	@$(PIP) --no-deps --require-hashes -r requirements/fuzz.txt
	@$(PIP_CHECK)
	@touch $@

node_modules/.runtime: package-lock.json
	@if [ ! -e node_modules/.dev ] || [ package-lock.json -nt node_modules/.dev ]; then \
	  echo "Installing the Copilot CLI ..."; npm ci --omit=dev --no-fund --no-audit --loglevel=error; fi
	@$(PYTHON) scripts/unpack_cli.py
	@touch $@

node_modules/.dev: package-lock.json
	@echo "Installing the Copilot CLI and GitHub's contracts ..."
	@npm ci --no-fund --no-audit --loglevel=error
	@$(PYTHON) scripts/unpack_cli.py
	@touch node_modules/.runtime $@

$(VENV)/.lock: requirements/lock.txt | $(VENV)/bin/python
	@$(PIP) --no-deps --require-hashes -r requirements/lock.txt
	@touch $@

# dev.txt is all of .venv and comes first: the others take their versions from it. Renovate repeats the commands that
# end in the name of a file, in alphabetical order, so that dev.txt comes first there too.
lock: $(VENV)/.lock ## update the locks of the Python packages
	@$(COMPILE) --all-extras --group=dev --output-file=requirements/dev.txt pyproject.toml
	@$(COMPILE) --extra=otel --constraint=requirements/dev.txt --output-file=requirements/runtime.txt pyproject.toml
	@$(COMPILE) --extra=otel --extra=service --constraint=requirements/dev.txt --output-file=requirements/service.txt pyproject.toml
	@for group in build fuzz lock release; do \
	  $(COMPILE) --constraint=requirements/dev.txt --group=pyproject.toml:$$group \
	    --output-file=requirements/$$group.txt || exit; done

clean: ## remove what was installed and built
	@rm -rf $(VENV) node_modules build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis bench.json
