package migrations

import (
	"errors"
	"fmt"
	"path"

	"github.com/pressly/goose/v3"
)

// ErrReadOnly says that there is something to migrate, but the server is a standby or the session is read-only.
var ErrReadOnly = errors.New("migrations: the database is read-only")

// ErrHoldsEvents says that [Down] or [DownTo] would go back on a store that holds events. Nothing was undone.
var ErrHoldsEvents = errors.New("migrations: the store holds events, which going back may drop: set Options.DropEvents if they may be lost")

// errConnectionLost stands in for the silent reconnect of database/sql: the lock was on the old connection.
var errConnectionLost = errors.New("migrations: the connection that holds the migration lock was lost")

// DatabaseNewerError says that a newer release has migrated the database, and that this one cannot use it, or cannot take it back.
type DatabaseNewerError struct {
	// Database is the version that the database is at.
	Database int64
	// Code is the highest version that this release knows.
	Code int64
	// UsableFrom is the version that code must know to use the database; 0 if the database does not say.
	UsableFrom int64
}

// Error names the versions, and says what to do.
func (e *DatabaseNewerError) Error() string {
	usable := ""
	if e.UsableFrom > 0 {
		usable = fmt.Sprintf(", for releases that know version %d or above", e.UsableFrom)
	}
	return fmt.Sprintf("migrations: the database is at version %d%s, and this release of Gapless knows versions up to %d: "+
		"deploy the newer release, or go back with DownTo(%d) of the newer one", e.Database, usable, e.Code, e.Code)
}

// StoreMismatchError says that the store was installed with another number of partitions than [Options] asks for. The number
// never changes, since each stream's partition is computed from it.
type StoreMismatchError struct {
	// Installed is the number of partitions that the store has.
	Installed int
	// Requested is Options.PartitionCount.
	Requested int
}

func (e *StoreMismatchError) Error() string {
	return fmt.Sprintf("migrations: the store was installed with %d partitions, and Options.PartitionCount asks for %d: "+
		"leave it 0 to take the store as it is, or copy the events into a new store", e.Installed, e.Requested)
}

// describe says which migration failed and where the database stands now.
func describe(err error, before int64) error {
	var partial *goose.PartialError
	if !errors.As(err, &partial) {
		return fmt.Errorf("migrations: %w", err)
	}
	at := before
	if n := len(partial.Applied); n > 0 {
		at = partial.Applied[n-1].Source.Version
	}
	if partial.Failed.Direction == "down" {
		at = partial.Failed.Source.Version
	}
	return fmt.Errorf("migrations: %s %s failed, the database is at version %d: %w",
		path.Base(partial.Failed.Source.Path), partial.Failed.Direction, at, partial.Err)
}
