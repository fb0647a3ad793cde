# `make` alone explains itself: it lists every target that has `##` after it.
.DEFAULT_GOAL := help

LAB   ?= labs/blumeops
STATE ?=
TESTS ?= tests
KILLS ?= 300

BIN      := .venv/bin
BLUMEOPS := $(BIN)/blumeops
IN_STATE := $(if $(STATE),--state "$(STATE)")
COMPILE  := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
            --no-header --no-annotate pyproject.toml --extra here --group build

.PHONY: help
help:
	@echo 'BlumeOps: one Git repository, one home lab.'
	@awk -F ':? *## *' '/^## / {print "\n" $$2} /^[a-z-]+: *## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile
	@echo
	@echo 'Variables'
	@printf '  %-18s %s\n' 'LAB=$(LAB)' 'the lab to run' 'STATE=$(STATE)' 'where its state is kept' \
	    'TESTS=$(TESTS)' 'the tests to run: a folder, a file, file::test'

## Run it

.PHONY: up
up: ## run the lab on this machine, and wait until it is healthy
	@scripts/prepare run
	@$(BLUMEOPS) up --lab "$(LAB)" $(IN_STATE)

.PHONY: down
down: ## stop the lab; its data stays
	@scripts/prepare run
	@$(BLUMEOPS) down --lab "$(LAB)" $(IN_STATE)

.PHONY: status
status: ## what runs, and how it is
	@scripts/prepare run
	@$(BLUMEOPS) status --lab "$(LAB)" $(IN_STATE)

## Work on it

.PHONY: test
test: ## the tests, but for those of a real cluster
	@scripts/prepare dev
	@$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder -m 'not cluster' $(TESTS)

.PHONY: test-cluster
test-cluster: ## the tests with a real Kubernetes API server (needs Go; the first build takes minutes)
	@scripts/prepare dev
	@$(BIN)/python -m tests.cluster.build
	@$(BIN)/pytest -m cluster

.PHONY: chaos
chaos: ## kill the controller KILLS times at random moments of updates (300: twenty minutes)
	@scripts/prepare dev
	@BLUMEOPS_KILLS=$(KILLS) $(BIN)/pytest -p no:cacheprovider tests/e2e/test_replace.py -k 'serves or random'

.PHONY: check
check: ## format, lint, types, import rules, dead code
	@scripts/prepare dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/vulture

.PHONY: format
format: ## put the format right, and what the linter can mend
	@scripts/prepare dev
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

.PHONY: bench
bench: ## measure what is promised about speed
	@scripts/prepare dev
	@$(BIN)/python -m tests.bench

.PHONY: docs
docs: ## write what is generated in docs/: the reference, the picture
	@scripts/prepare dev
	@$(BIN)/python scripts/docs
	@$(BIN)/python scripts/picture <docs/pictures/first-run.txt >docs/pictures/first-run.svg

.PHONY: book
book: ## make the catalogue's sample book for Kiwix again, after a change of its pages
	@scripts/prepare dev
	@$(BIN)/python scripts/book src/blumeops/catalogue/kiwix/sample.zim

.PHONY: lock
lock: ## lock again after a change of dependencies (needs uv; UPGRADE=1 takes the newest)
	$(COMPILE) --group dev $(if $(UPGRADE),--upgrade) -o requirements.lock >/dev/null
	$(COMPILE) -c requirements.lock $(if $(UPGRADE),--upgrade) -o requirements-run.lock >/dev/null

.PHONY: clean
clean: ## remove everything that is made here: environment, caches, builds
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
