// Package pgtest gives each test a migrated PostgreSQL database of its own.
//
// [Postgres] is all there is: a pool on an empty store, which is dropped after the test. The server is that of the environment variable
// GAPLESS_TEST_DSN; else a container, by Testcontainers; else a throwaway cluster of the PostgreSQL programs on the machine. All tests of a
// process share it, and it ends with the process. Where none of these works, the test fails, and says what was tried and what to install.
//
//	GAPLESS_TEST_DSN     postgres:// URL of a running server, whose user may create databases
//	GAPLESS_TEST_IMAGE   container image
//	GAPLESS_TEST_BINDIR  directory with postgres and initdb
//	GAPLESS_TEST_SOURCE  dsn, container or binaries: that way and no other
//
// It is a module of its own, so that a program that imports Gapless does not require Testcontainers. Where Gapless is used from a checkout, it
// needs a replace directive as Gapless does:
//
//	go mod edit -replace github.com/gaplesspg/gapless/eventstream/eventstreamtest/pgtest=../gapless/eventstream/eventstreamtest/pgtest
package pgtest
