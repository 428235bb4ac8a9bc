package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

// The names of the environment variables, and the values of envSource.
const (
	envDSN    = "GAPLESS_TEST_DSN"
	envImage  = "GAPLESS_TEST_IMAGE"
	envBindir = "GAPLESS_TEST_BINDIR"
	envSource = "GAPLESS_TEST_SOURCE"

	sourceDSN       = "dsn"
	sourceContainer = "container"
	sourceBinaries  = "binaries"
)

// ErrUnknownSource is returned when GAPLESS_TEST_SOURCE names no way of getting a server.
var ErrUnknownSource = errors.New("unknown source; set " + envSource + " to dsn, container or binaries, or unset it")

// StartError says that no way of getting a server worked, and why.
type StartError struct {
	Attempts []Attempt
}

// Attempt is one way that was tried, and why it failed.
type Attempt struct {
	Source string
	Err    error
}

// Error gives all attempts, one a line, and what to do.
func (e *StartError) Error() string {
	var b strings.Builder
	b.WriteString("no PostgreSQL server could be started; tried:")
	for _, a := range e.Attempts {
		fmt.Fprintf(&b, "\n  %s: %s", a.Source, strings.ReplaceAll(a.Err.Error(), "\n", "\n    "))
	}
	fmt.Fprintf(&b, `
Any one of these is enough:
  - start or install Docker
  - install PostgreSQL %d or newer: apt-get install postgresql, or brew install postgresql@17
  - set %s=postgres://user:password@host:5432/postgres for a server that you have`, minMajor, envDSN)
	return b.String()
}

// Unwrap gives the errors of all attempts.
func (e *StartError) Unwrap() []error {
	errs := make([]error, 0, len(e.Attempts))
	for _, a := range e.Attempts {
		errs = append(errs, a.Err)
	}
	return errs
}

// source is one way of getting a server.
type source struct {
	name  string
	start func(context.Context, request) (*Server, error)
}

// environment holds what the user asked for by environment variables.
type environment struct {
	dsn, image, bindir, source string
}

func readEnvironment() environment {
	return environment{
		dsn:    os.Getenv(envDSN),
		image:  os.Getenv(envImage),
		bindir: os.Getenv(envBindir),
		source: os.Getenv(envSource),
	}
}

// sources gives the ways to try, in order. Whatever the user named is the only way: to test quietly on another server
// than the one asked for would be worse than to fail.
func (e environment) sources() ([]source, error) {
	dsn := source{sourceDSN, startDSN}
	container := source{sourceContainer, startContainer}
	binaries := source{sourceBinaries, startBinaries}

	switch e.source {
	case sourceDSN:
		return []source{dsn}, nil
	case sourceContainer:
		return []source{container}, nil
	case sourceBinaries:
		return []source{binaries}, nil
	case "":
	default:
		return nil, fmt.Errorf("%s=%q: %w", envSource, e.source, ErrUnknownSource)
	}
	switch {
	case e.dsn != "":
		return []source{dsn}, nil
	case e.image != "":
		return []source{container}, nil
	case e.bindir != "":
		return []source{binaries}, nil
	}
	return []source{container, binaries}, nil
}

// startFirst gives the server of the first source that works, or a *StartError.
func startFirst(ctx context.Context, sources []source, req request) (*Server, error) {
	var failed StartError
	for _, s := range sources {
		server, err := s.start(ctx, req)
		if err == nil {
			server.way, server.env = s.name, req.env
			return server, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("starting PostgreSQL (%s): %w", s.name, err)
		}
		req.logf("%s: %v", s.name, err)
		failed.Attempts = append(failed.Attempts, Attempt{Source: s.name, Err: err})
	}
	return nil, &failed
}
