# Every command of the project; `make help` lists them. All that is needed beforehand: make, and Python 3.11 or later.
.DEFAULT_GOAL := help
.PHONY: help env run check-config demo backup restore test test-fast coverage faults fuzz hostile check format bench rollout compose-test alerts-test office-test screenshots lock
MAKEFLAGS += --no-print-directory

# The first interpreter that is new enough; choose another one with `make PYTHON=/path/to/python3 …`.
ifndef PYTHON
PYTHON := $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v "$$python"; break; }; done)
endif
BIN := .venv/bin
TESTS ?= tests
# How many processes run the tests, each with servers of its own; files stay together. WORKERS=0: one process, in which a debugger works.
WORKERS ?= 2
PARALLEL = $(if $(filter tests,$(TESTS)),-n $(WORKERS) --dist loadfile --no-loadscope-reorder)

help: ## List these commands
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 22

env: ## Make .venv, or bring it up to date with the requirements
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed, and none was found: install it, or say where it is: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" compose/bootstrap.py

run: env ## Start the whole stack on this machine (PORT=8000, data in .local/; STORAGE=s3: files in an S3 store); Ctrl-C ends it
	@exec $(BIN)/python -m compose.local

check-config: env ## Check the settings in .env, without starting anything: a line for each mistake
	@$(BIN)/python -m compose.check_config

demo: env ## Send a messy sample file through the stack and show what was found
	@exec $(BIN)/python -m compose.demo

backup: env ## Write the data of `make run` to FILE=rowgate.tar, verified; it may be running
	@$(BIN)/python -m compose.backup create "$(FILE)"

restore: env ## Restore FILE=rowgate.tar into an empty RUN_DIR (.local)
	@$(BIN)/python -m compose.backup restore "$(FILE)"

test: env ## Run the tests (TESTS=path for some of them, WORKERS=0 without parallel processes)
	@$(BIN)/python -m pytest -q $(PARALLEL) $(TESTS)

test-fast: env ## Run the tests that take a minute or two in all: not those marked slow (processes killed, whole stacks, containers, large files, long searches)
	@$(BIN)/python -m pytest -q $(PARALLEL) -m "not slow" $(TESTS)

coverage: env ## Run the tests and measure branch coverage of features/ and shared/; fails below the floor in pyproject.toml
	@$(BIN)/coverage erase
	@status=0; $(BIN)/coverage run -m pytest -q $(PARALLEL) $(TESTS) || status=1; \
	$(BIN)/coverage combine --quiet; $(BIN)/coverage report || status=1; exit $$status

faults: env ## The long form of the fault tests (SEEDS=3 random runs of 200 jobs; STORAGE=s3: files in an S3 store, two APIs)
	@FAULT_STORAGE=$(STORAGE) FAULT_SEEDS=$(or $(SEEDS),3) FAULT_JOBS=200 $(BIN)/python -m pytest -q tests/faults

fuzz: env ## Ask the running service what its OpenAPI document allows, and more (CASES=2000 for each endpoint)
	@FUZZ_CASES=$(or $(CASES),2000) $(BIN)/python -m pytest -q tests/e2e/test_document.py -s

hostile: env ## Attack the whole service with generated requests and files (REQUESTS=1000 FILES=2000 SEED=1)
	@HOSTILE_REQUESTS=$(or $(REQUESTS),1000) HOSTILE_FILES=$(or $(FILES),2000) HOSTILE_SEED=$(or $(SEED),1) \
	$(BIN)/python -m pytest -q tests/hostile/test_long_form.py -s

check: env ## Lint, formatting, types, import contracts, migrations = models, Dockerfile, Kubernetes; runs all, then says what failed
	@$(BIN)/python -m compose.check

format: env ## Format the code and fix what the linter can fix
	@$(BIN)/ruff check --fix . ; status=$$?; $(BIN)/ruff format . && exit $$status

rollout: ## Replace what has changed of a stack of Compose, one service after the other, without a request that waits
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed, and none was found" >&2; exit 1; }
	@"$(PYTHON)" -m compose.rollout

bench: env ## Measure speed and memory beside other tools, into bench/RESULTS.md
	@$(BIN)/python -m bench

compose-test: env ## Build and prove the containers (skipped where there is no Docker engine)
	@$(BIN)/python -m compose.verify

alerts-test: env ## Check and test the alert rules and the dashboard (skipped where there is no promtool)
	@$(BIN)/python -m compose.check_alerts

office-test: env ## Open the workbooks that are made with LibreOffice (root on Debian: installs it; skipped where there is none)
	@$(BIN)/python -m compose.office

screenshots: env ## Take the README's pictures of the page (needs Chromium)
	@$(BIN)/python -m compose.screenshots

lock: env ## Pin the newest releases that the requirements allow, with hashes (KEEP=1: keep what is pinned)
	@$(BIN)/python -m compose.lock $(if $(KEEP),--keep)
