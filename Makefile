# Everything a contributor types. PostgreSQL comes from internal/pgserver: GAPLESS_TEST_DSN, else a container, else programs found on
# the machine.

# One shell line that fails when any of its commands does.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test test-race test-unit test-integration test-modules torture torture-busy bench site image-files generate verify lint clean

GO ?= go
REPO ?= .
OUT ?= bench/results.json
ROUNDS ?= 10
SUITES ?= 1

# Tools are pinned in modules of their own, so they stay out of the module graph of who imports Gapless. The goose command is built
# without the databases that we do not use: minutes less.
GOOSE_TAGS := no_clickhouse,no_libsql,no_mssql,no_mysql,no_sqlite3,no_vertica,no_ydb
TOOL := $(GO) tool -modfile="$(CURDIR)/tools/go.mod"
GOOSE := GOFLAGS="$$($(GO) env GOFLAGS) -tags=$(GOOSE_TAGS)" $(TOOL) goose
LINT := $(GO) tool -modfile="$(CURDIR)/tools/lint/go.mod" golangci-lint
# Modules of their own, so that what they need stays out of the module graph of who imports Gapless alone.
MODULES := cmd/gapless eventstream/eventstreamtest/pgtest eventstream/process/natsjs otelgapless
# More at a time than there are CPUs: most of a test against a database is waiting.
TEST := $(TOOL) gotestsum --format=pkgname-and-test-fails --

# Packages whose tests start no server.
UNIT = $$($(GO) list ./... | grep -v -e /integration_test -e /internal/pgserver -e /internal/devdb -e /examples -e /bench)

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## load a git repository as streams: make demo REPO=path, KEEP=1 leaves the database up
	KEEP="$(KEEP)" $(GO) run ./examples/githistory -repo "$(REPO)"

test: ## every test; its last line says what this machine could not run
	@left=$$(mktemp); trap 'rm -f "$$left"' EXIT; status=0; \
	export GAPLESS_TEST_LEFT_OUT="$$left"; $(TEST) -timeout=30m -parallel=4 ./... || status=$$?; \
	for module in $(MODULES); do $(GO) -C "$$module" test -timeout=10m ./... || status=$$?; done; \
	if [ -s "$$left" ]; then echo "left out: $$(wc -l <"$$left") tests:$$(cut -d: -f2- "$$left" | sort -u | paste -sd';')"; \
	else echo 'left out: nothing'; fi; exit $$status

test-race: ## the tests with the race detector, but for those that are long and have one goroutine
	$(TEST) -race -short -timeout=30m -parallel=4 $$($(GO) list ./... | grep -v -e /bench -e /internal/site -e /internal/pgserver)
	@for module in $(MODULES); do $(GO) -C "$$module" test -race -short -timeout=10m ./...; done

test-unit: ## the tests that need no database
	$(TEST) -race $(UNIT)

test-integration: ## the tests against PostgreSQL
	$(TEST) -timeout=30m -parallel=4 ./integration_test/...

test-modules: ## the tests of the modules apart; make test runs them too
	@for module in $(MODULES); do $(GO) -C "$$module" test -timeout=10m ./...; done

torture: ## the long forms of tests: two minutes a hammer, ten failovers, a large store, half an hour of load; about an hour
	GAPLESS_TEST_LONG=1 $(GO) test -count=1 -timeout=2h -parallel=4 -run 'Hammer|Chaos|Failover|AreKilled|AuditOfALargeStore' -v ./integration_test/
	GAPLESS_TEST_LOAD=30m $(GO) test -count=1 -timeout=1h -run '^TestLoadLeavesNothingBehind$$' ./integration_test/

torture-busy: ## every test ROUNDS times (10), SUITES at a time (1), beside two busy loops, until one fails: hours
	GO="$(GO)" ROUNDS="$(ROUNDS)" SUITES="$(SUITES)" tools/torture-busy $(MODULES)

bench: ## events per second against plain PostgreSQL in the same run, written to OUT; docs/benchmarks.md
	$(GO) run ./bench -out "$(OUT)"

site: ## the manual as a site with search, written to OUT (site); needs hugo
	$(GO) run ./internal/site -out "$(if $(filter file default,$(origin OUT)),site,$(OUT))"

image-files: ## the files of the image, into bin/image, for machines where no image with Go is to be had
	CGO_ENABLED=0 $(GO) -C cmd/gapless build -trimpath -ldflags='-s -w' -o "$(CURDIR)/bin/image/gapless" .
	mkdir -p bin/image/etc/ssl/certs
	cp "$${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" bin/image/etc/ssl/certs/ca-certificates.crt

generate: ## db/ from queries/ and migrations/, docs/schema/ and docs/reference-*.md from migrations/ and the code
	$(TOOL) sqlc generate
	$(GO) run ./internal/devdb -write docs/schema -reference docs

verify: lint ## what must hold before a commit, tests apart: lint, format, generated files, queries, migrations
	$(GO) mod tidy -diff
	@for module in $(MODULES); do $(GO) -C "$$module" mod tidy -diff; done
	@# goose validate takes every .go file for a migration.
	@dir=$$(mktemp -d); trap 'rm -r "$$dir"' EXIT; cp migrations/*.sql "$$dir"; $(GOOSE) -dir "$$dir" validate
	$(TOOL) sqlc diff
	$(GO) run ./internal/devdb -check docs/schema -- $(TOOL) sqlc vet
	@echo 'verify: all is well'

lint: ## go vet, gofumpt, golangci-lint
	$(GO) vet ./...
	@for module in $(MODULES); do $(GO) -C "$$module" vet ./...; done
	@files=$$($(TOOL) gofumpt -l .); if [ -n "$$files" ]; then echo "run gofumpt on:"; echo "$$files"; exit 1; fi
	$(LINT) run
	@for module in $(MODULES); do (cd "$$module" && $(LINT) run); done

clean: ## remove what builds and tests leave behind
	$(GO) clean -testcache
	rm -rf bin coverage.out *.test
