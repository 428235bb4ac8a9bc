package eventstream

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// ErrSessionFormat says that the server writes values in a format that is not read. See SessionFormatError.
var ErrSessionFormat = errors.New("the session writes values in another format: set DateStyle to ISO and bytea_output to hex for the role, " +
	"or use a query mode with binary results")

// SessionFormatError says that a value came in a format that is not read. With pgx.QueryExecModeExec and pgx.QueryExecModeSimpleProtocol
// values come as text, as DateStyle and bytea_output have the server write it; the other modes depend on neither.
type SessionFormatError struct {
	// Column is the column of the result.
	Column string
	// Err says what could not be read.
	Err error
}

// Error names the column, and says what to set.
func (e *SessionFormatError) Error() string {
	return fmt.Sprintf("column %s cannot be read: %v. In the query modes exec and simple protocol values come as text, and are read as written "+
		"with DateStyle ISO and bytea_output hex: set both for the role or the connection, or use another query mode", e.Column, e.Err)
}

// Is matches ErrSessionFormat.
func (e *SessionFormatError) Is(target error) bool { return target == ErrSessionFormat }

// Unwrap gives the error of the value.
func (e *SessionFormatError) Unwrap() error { return e.Err }

// unreadable names the column of a value that could not be read. It is for what this package reads: an error of the user's code, who reads
// other things, stays what it is.
func unreadable(err error) error {
	var scan pgx.ScanArgError
	if !errors.As(err, &scan) {
		return err
	}
	return &SessionFormatError{Column: scan.FieldName, Err: err}
}
