// Package leftout is for tests that a machine cannot run: they are skipped, and `make test` says in one line at its end which were, and what
// to do so that they run.
package leftout

import (
	"errors"
	"fmt"
	"os"
	"testing"
)

// EnvFile names the file that notes what was left out: a line a test, with its name and the reason.
const EnvFile = "GAPLESS_TEST_LEFT_OUT"

// Skip skips a test for a reason that says what to do, and notes it.
func Skip(t testing.TB, reason error) {
	t.Helper()
	if err := note(os.Getenv(EnvFile), t.Name(), reason); err != nil {
		t.Fatal(err)
	}
	t.Skip(reason)
}

// note adds a line, in one write, since the test programs of several packages share the file.
func note(path, test string, reason error) error {
	if path == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(file, "%s: %.200q\n", test, reason.Error())
	return errors.Join(err, file.Close())
}
