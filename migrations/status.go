package migrations

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// MigrationStatus is one migration and whether the database has it.
type MigrationStatus struct {
	// Version is the number at the start of the file's name.
	Version int64
	// Name is the file's name; empty for a migration that only a newer release knows.
	Name string
	// Applied tells whether the database has it.
	Applied bool
	// AppliedAt is when it was applied, by the database's clock; zero when it was not.
	AppliedAt time.Time
}

// Status lists the migrations that this release knows or the database has, in order of version. It only reads: it waits for no
// lock, creates nothing, and works on a standby.
func Status[C Conn](ctx context.Context, db C) ([]MigrationStatus, error) {
	sources, err := list(files)
	if err != nil {
		return nil, err
	}
	st, err := readState(ctx, db)
	if err != nil {
		return nil, err
	}
	return st.status(sources), nil
}

// Version returns the version that the database is at; 0 when Gapless is not installed. It only reads, as [Status] does.
func Version[C Conn](ctx context.Context, db C) (int64, error) {
	st, err := readState(ctx, db)
	if err != nil {
		return 0, err
	}
	return st.version, nil
}

// state is what a database says about its migrations.
type state struct {
	version        int64
	applied        []applied // in order of version
	partitionCount int       // 0: no store
	usableFrom     int64     // version that code must know; 0: the database does not say
}

type applied struct {
	version int64
	at      time.Time
}

// querier is the part of a connection that reading needs.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func readState(ctx context.Context, db any) (state, error) {
	var st state
	q, err := asQuerier(db)
	if err != nil {
		return st, err
	}
	var hasVersions, hasStore, hasUsable bool
	err = q.QueryRow(ctx, `SELECT to_regclass('eventstream.goose_db_version') IS NOT NULL,
		to_regclass('eventstream.store') IS NOT NULL,
		to_regclass('eventstream.schema_versions') IS NOT NULL`).Scan(&hasVersions, &hasStore, &hasUsable)
	if err == nil && hasVersions {
		err = st.readVersions(ctx, q)
	}
	if err == nil && hasUsable {
		err = q.QueryRow(ctx, `SELECT coalesce(max(usable_from), 0) FROM eventstream.schema_versions WHERE version = $1`, st.version).
			Scan(&st.usableFrom)
	}
	if err == nil && hasStore {
		err = q.QueryRow(ctx, `SELECT coalesce(max(partition_count), 0) FROM eventstream.store`).Scan(&st.partitionCount)
	}
	if err != nil {
		return st, fmt.Errorf("migrations: read the version: %w", err)
	}
	return st, nil
}

func asQuerier(db any) (querier, error) {
	switch db := db.(type) {
	case *pgxpool.Pool:
		if db != nil {
			return db, nil
		}
	case *pgx.Conn:
		if db != nil {
			return db, nil
		}
	}
	return nil, errors.New("migrations: the pool or connection is nil")
}

func (st *state) readVersions(ctx context.Context, q querier) error {
	// goose writes local time of the session into a timestamp without time zone; the cast reads it back the same way. Row 0 only
	// says that the table is there.
	rows, err := q.Query(ctx, `SELECT version_id, max(tstamp)::timestamptz FROM eventstream.goose_db_version
		WHERE is_applied AND version_id > 0 GROUP BY version_id ORDER BY version_id`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var a applied
		if err := rows.Scan(&a.version, &a.at); err != nil {
			return err
		}
		st.applied = append(st.applied, a)
		st.version = a.version
	}
	return rows.Err()
}

// check refuses a database that this release, or these options, do not fit.
func (st *state) check(sources []source, o Options) error {
	if st.newer(sources) && !st.usable(sources) {
		return st.refuseNewer(sources)
	}
	if o.PartitionCount != 0 && st.partitionCount != 0 && o.PartitionCount != st.partitionCount {
		return &StoreMismatchError{Installed: st.partitionCount, Requested: o.PartitionCount}
	}
	return nil
}

// checkDown refuses a database that only a newer release can take back.
func (st *state) checkDown(sources []source) error {
	if st.newer(sources) {
		return st.refuseNewer(sources)
	}
	return nil
}

func (st *state) newer(sources []source) bool { return st.version > latest(sources) }

// usable tells whether a newer database can be used as it is: it says so, and lacks nothing that this release knows.
func (st *state) usable(sources []source) bool {
	return st.usableFrom > 0 && st.usableFrom <= latest(sources) && st.complete(sources)
}

func (st *state) refuseNewer(sources []source) error {
	return &DatabaseNewerError{Database: st.version, Code: latest(sources), UsableFrom: st.usableFrom}
}

// complete tells whether every migration is applied.
func (st *state) complete(sources []source) bool {
	for _, m := range st.status(sources) {
		if !m.Applied {
			return false
		}
	}
	return true
}

// status merges two lists in order of version.
func (st *state) status(sources []source) []MigrationStatus {
	var out []MigrationStatus
	known, have := sources, st.applied
	for len(known) > 0 || len(have) > 0 {
		switch {
		case len(have) == 0 || len(known) > 0 && known[0].version < have[0].version:
			out = append(out, MigrationStatus{Version: known[0].version, Name: known[0].name})
			known = known[1:]
		case len(known) == 0 || have[0].version < known[0].version:
			out = append(out, MigrationStatus{Version: have[0].version, Applied: true, AppliedAt: have[0].at})
			have = have[1:]
		default:
			out = append(out, MigrationStatus{
				Version: have[0].version, Name: known[0].name, Applied: true, AppliedAt: have[0].at,
			})
			known, have = known[1:], have[1:]
		}
	}
	return out
}
