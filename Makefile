# The single door to this project: `make help` lists what can be done.
#
# Knobs: CONFIGURATION=release builds and runs optimised programs; RUN_ARGUMENTS="…" goes to `apus dev`.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Debian puts servers such as nats-server where only root looks for programs.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

CONFIGURATION ?= debug
RUN_ARGUMENTS ?=
VENV := .venv
REQUIREMENTS := Tests/EndToEndTests/requirements.txt Tests/EndToEndTests/requirements-files.txt

# One build serves `make check` and `make test`; in it every warning in our own code is an error.
check check-build test: export APUS_STRICT := 1

.PHONY: help
help: ## Say what can be done here
	@echo 'Apus: messages from a backend to the people who use it, at once.'
	@echo
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo 'New here? `make run`, then open the address that it prints.'

.PHONY: deps
deps: ## Install what building and testing need (asks apt only for what is missing)
	@scripts/install-dependencies.sh test

.PHONY: build
build: ## Build everything (CONFIGURATION=release for optimised programs)
	@scripts/install-dependencies.sh build
	@scripts/build.sh $(CONFIGURATION)

.PHONY: run
run: ## Install what is missing, build, and run the whole system on this machine
	@scripts/install-dependencies.sh run
	@scripts/build.sh $(CONFIGURATION)
	@exec "$$(swift build -c $(CONFIGURATION) --show-bin-path)/apus" dev $(RUN_ARGUMENTS)

.PHONY: test
test: ## Install what is missing and run the tests: unit, integration, end to end, examples
	@scripts/install-dependencies.sh test
	@$(MAKE) --no-print-directory $(VENV)
	@scripts/run-tests.sh

.PHONY: faults
faults: ## Of the tests those that kill, stop and drain services and NATS under load
	@scripts/install-dependencies.sh test
	@$(MAKE) --no-print-directory $(VENV)
	@scripts/run-tests.sh faults

.PHONY: check
check: ## Formatting, boundaries between layers, warnings as errors, and the files in deploy/
	@scripts/install-dependencies.sh test
	@$(MAKE) --no-print-directory $(VENV) check-format check-imports check-scripts check-deploy check-build
	@echo 'check: everything is in order'

.PHONY: check-format
check-format:
	@echo '== formatting'
	@git ls-files -z -- '*.swift' | xargs -0 swift format lint --strict --parallel

.PHONY: check-imports
check-imports:
	@echo '== boundaries'
	@scripts/check-imports.sh
	@scripts/tests/check-imports-test.sh

.PHONY: check-scripts
check-scripts:
	@echo '== scripts'
	@git ls-files -z -- '*.sh' .ci/run | xargs -0 -n 1 bash -n
	@git ls-files -z -- '*.py' | PYTHONPYCACHEPREFIX=.build/pycache xargs -0 $(VENV)/bin/python -m py_compile

.PHONY: check-deploy
check-deploy: $(VENV)
	@echo '== deploy'
	@scripts/check-deploy.sh

.PHONY: check-build
check-build:
	@echo '== build, warnings as errors'
	@scripts/build.sh debug --build-tests

.PHONY: bench
bench: ## Measure, in release mode, beside the peers that are here (BENCH=full: everything, an hour)
	@scripts/install-dependencies.sh bench
	@scripts/run-benchmarks.sh

.PHONY: bench-peers
bench-peers: ## Install the peers that `make bench` measures beside: Debian's packages need root
	@scripts/install-dependencies.sh bench-peers
	@scripts/make-venv.sh .build/benchmarks/python Benchmarks/Peers/requirements.txt

.PHONY: format
format: ## Format every Swift file in place
	@git ls-files -z -- '*.swift' | xargs -0 swift format format --in-place --parallel

.PHONY: clean
clean: ## Remove what was built, the Python environment and what `apus dev` keeps here
	rm -rf .build .build-* $(VENV) .apus Benchmarks/.build Examples/own-service/.build Examples/chat/.build

# The clients of the end-to-end tests, which nobody here wrote, come from PyPI.
$(VENV): $(VENV)/installed
$(VENV)/installed: $(REQUIREMENTS) scripts/make-venv.sh
	@scripts/make-venv.sh $(VENV) $(REQUIREMENTS)
