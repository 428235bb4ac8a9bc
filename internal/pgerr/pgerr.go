// Package pgerr says what errors of the database mean.
package pgerr

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
)

// SerializationFailure is the SQLSTATE for a transaction whose snapshot is too old.
const SerializationFailure = "40001"

// Explained is an error of a package of this module with the database's behind it.
type Explained struct {
	// Domain says what it means, and Cause is what the database said.
	Domain error
	Cause  *pgconn.PgError
}

// Error is that of Domain.
func (e *Explained) Error() string { return e.Domain.Error() }

// Unwrap gives both.
func (e *Explained) Unwrap() []error { return []error{e.Domain, e.Cause} }

// HasState says whether the database gave an error of this SQLSTATE.
func HasState(err error, code string) bool {
	var cause *pgconn.PgError
	return errors.As(err, &cause) && cause.Code == code
}
