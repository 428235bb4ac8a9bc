# Everything a contributor types. PostgreSQL comes from internal/pgserver: GAPLESS_TEST_DSN, else a container, else programs found on
# the machine.

# One shell line that fails when any of its commands does.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test test-unit test-integration test-command bench generate verify lint clean

GO ?= go
REPO ?= .
OUT ?= bench/results.json

# Tools are pinned in modules of their own, so they stay out of the module graph of who imports Gapless. The goose command is built
# without the databases that we do not use: minutes less.
GOOSE_TAGS := no_clickhouse,no_libsql,no_mssql,no_mysql,no_sqlite3,no_vertica,no_ydb
TOOL := $(GO) tool -modfile=$(CURDIR)/tools/go.mod
GOOSE := GOFLAGS="$$($(GO) env GOFLAGS) -tags=$(GOOSE_TAGS)" $(TOOL) goose
LINT := $(GO) tool -modfile=$(CURDIR)/tools/lint/go.mod golangci-lint
# The command is a module of its own, so that what it needs stays out of users' module graph; paths are whole, to be used from there.
COMMAND := cmd/gapless
IN_COMMAND := cd $(COMMAND) &&
# More at a time than there are CPUs: most of a test against a database is waiting.
TEST := $(TOOL) gotestsum --format=pkgname-and-test-fails --

# Packages whose tests start no server.
UNIT = $$($(GO) list ./... | grep -v -e /integration_test -e /internal/pgserver -e /internal/devdb -e /examples -e /bench)

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## load a git repository as streams: make demo REPO=path, KEEP=1 leaves the database up
	KEEP="$(KEEP)" $(GO) run ./examples/githistory -repo "$(REPO)"

test: ## every test, with the race detector; its last line says what this machine could not run
	@left=$$(mktemp); trap 'rm -f "$$left"' EXIT; status=0; \
	GAPLESS_TEST_LEFT_OUT="$$left" $(TEST) -race -timeout=30m -parallel=4 ./... || status=$$?; \
	($(IN_COMMAND) $(TEST) -race -timeout=30m -parallel=4 ./...) || status=$$?; \
	if [ -s "$$left" ]; then echo "left out: $$(wc -l <"$$left") tests:$$(cut -d: -f2- "$$left" | sort -u | paste -sd';')"; \
	else echo 'left out: nothing'; fi; exit $$status

test-unit: ## the tests that need no database
	$(TEST) -race $(UNIT)

test-integration: ## the tests against PostgreSQL
	$(TEST) -race -timeout=30m -parallel=4 ./integration_test/...

bench: ## events per second against plain PostgreSQL in the same run, written to OUT; docs/benchmarks.md
	$(GO) run ./bench -out "$(OUT)"

generate: ## db/ from queries/ and migrations/, docs/schema/ from migrations/
	$(TOOL) sqlc generate
	$(GO) run ./internal/devdb -write docs/schema

verify: lint ## what must hold before a commit, tests apart: lint, format, generated files, queries, migrations
	$(GO) mod tidy -diff
	$(IN_COMMAND) $(GO) mod tidy -diff
	$(IN_COMMAND) $(GO) build -o /dev/null .
	@# goose validate takes every .go file for a migration.
	@dir=$$(mktemp -d); trap 'rm -r "$$dir"' EXIT; cp migrations/*.sql "$$dir"; $(GOOSE) -dir "$$dir" validate
	$(TOOL) sqlc diff
	$(GO) run ./internal/devdb -check docs/schema -- $(TOOL) sqlc vet
	@echo 'verify: all is well'

lint: ## go vet, gofumpt, golangci-lint
	$(GO) vet ./...
	$(IN_COMMAND) $(GO) vet ./...
	@files=$$($(TOOL) gofumpt -l .); if [ -n "$$files" ]; then echo "run gofumpt on:"; echo "$$files"; exit 1; fi
	$(LINT) run
	$(IN_COMMAND) $(LINT) run

test-command: ## the tests of the command gapless
	$(IN_COMMAND) $(TEST) -race -timeout=30m -parallel=4 ./...

clean: ## remove what builds and tests leave behind
	$(GO) clean -testcache
	rm -rf bin coverage.out *.test
