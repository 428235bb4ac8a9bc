// Package migrations installs and upgrades the database side of Gapless: schema eventstream with its tables, functions and
// triggers. The SQL files are embedded, so a service needs nothing but its own binary:
//
//	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
//	...
//	err = migrations.Up(ctx, pool, nil)
//
// # What it promises
//
// [Up] may be called by every process of a service as it starts: one of them migrates, the others wait for it, and where nothing
// is left to do nobody takes a lock. Each migration is one transaction; one that fails leaves the database at the version before
// it. A store that was installed with another number of partitions than the one asked for is refused ([StoreMismatchError]).
//
// In a rolling deployment, processes of the release before may start after one of the new release has migrated. The schema says
// from which version on code can use it (eventstream.schema_versions): such code starts as if nothing were to be done, older code
// is refused ([DatabaseNewerError]), and so is code of either kind that would undo migrations that it does not know.
//
// [Status] and [Version] only read: they work on a standby, and on a database that holds nothing yet. [Down] and [DownTo] undo
// migrations, and the events go with the tables that hold them.
//
// # How it runs
//
// The files are run by goose, over one connection that holds a session-level advisory lock from the first statement to the last.
// PgBouncer in transaction mode (and every other pooler that hands a session around between transactions) cannot hold such a
// lock: connect to PostgreSQL itself to migrate.
//
// The role that migrates owns what it creates. It needs CREATE on the database, for schema eventstream.
//
// # With the goose command instead
//
// The goose command runs the same files and keeps the same version table, and the two may take turns. It creates no schema,
// and its version table lives in ours, so the schema comes first:
//
//	psql "$DATABASE_URL" -c 'CREATE SCHEMA IF NOT EXISTS eventstream'
//	goose -dir migrations -table eventstream.goose_db_version postgres "$DATABASE_URL" up
//
// and likewise status, down and version. For a number of partitions other than 32, add PGOPTIONS='-c
// eventstream.partition_count=64' to the environment of the first up. The goose command takes no lock: run one at a time.
package migrations
