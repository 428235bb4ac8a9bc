package foreign

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Mapping says which columns of a table are what. A column that is not named is not read.
type Mapping struct {
	// Table is its name, as SQL has it.
	Table string
	// Stream, Type and Payload are required, and one of Version and Order.
	Stream, Type, Payload string
	// Version numbers the events of a stream without a hole. Default: they are numbered in order.
	Version string
	// Order is the order of the log. Default: by time and then by stream and version, as far as these are there.
	Order string
	// ID is the event's id. Default: one that is derived from table, stream and version.
	ID string
	// Time is when it happened. Default: now, and so another one each time.
	Time string
	// Metadata is a JSON object. Default: none.
	Metadata string
	// Tenant owns the stream. Default: the default one.
	Tenant string
	// FirstVersion is the number of a stream's first event, 0 or 1.
	FirstVersion int64
	// extra are columns that become fields of metadata, under these names, where they are there.
	extra []extraColumn
	// leaveOut is a condition for rows that are none of the history, and why.
	leaveOut, leftOutAs string
	// defaultTenant is a name of the store for no tenant.
	defaultTenant string
}

// extraColumn is a column that becomes a field of metadata.
type extraColumn struct{ column, field string }

// MessageDB is the table of message-db. Its positions begin with 0.
func MessageDB(table string) Mapping {
	return Mapping{
		Table: orElse(table, "message_store.messages"), Stream: "stream_name", Version: "position", Order: "global_position", Type: "type",
		Payload: "data", ID: "id", Time: "time", Metadata: "metadata",
	}
}

// Marten is the table of Marten's event store. What it keeps beside the event, in columns that each store may have or not, becomes metadata.
func Marten(table string) Mapping {
	return Mapping{
		Table: orElse(table, "public.mt_events"), Stream: "stream_id", Version: "version", Order: "seq_id", Type: "type", Payload: "data", ID: "id",
		Time: "timestamp", Metadata: "headers", Tenant: "tenant_id", FirstVersion: 1, defaultTenant: "*DEFAULT*",
		extra: []extraColumn{
			{"correlation_id", "correlation_id"}, {"causation_id", "causation_id"}, {"user_name", "user_name"}, {"mt_dotnet_type", "dotnet_type"},
		},
		// Marten fills numbers that were drawn and not used with events of its own.
		leaveOut: `"type" = 'tombstone' AND ("mt_dotnet_type" LIKE 'Marten.%' OR "mt_dotnet_type" LIKE 'JasperFx.%')`, leftOutAs: "tombstones of Marten",
	}
}

func orElse(given, otherwise string) string {
	if given == "" {
		return otherwise
	}
	return given
}

// MappingError says that a mapping is not enough to read a table by.
type MappingError struct{ text string }

// Error says what is missing.
func (e *MappingError) Error() string { return e.text }

// check says which flags are missing.
func (m *Mapping) check() error {
	for _, needed := range [...]struct{ flag, value string }{
		{"--source-table", m.Table},
		{"--stream-column", m.Stream},
		{"--type-column", m.Type},
		{"--payload-column", m.Payload},
		{"--version-column or --order-column", m.Version + m.Order},
	} {
		if needed.value == "" {
			return &MappingError{needed.flag + " is missing: it says where the events are"}
		}
	}
	if m.FirstVersion != 0 && m.FirstVersion != 1 {
		return &MappingError{fmt.Sprintf("--first-version %d: must be 0 or 1", m.FirstVersion)}
	}
	return nil
}

// MissingError says that the source has no such table or column.
type MissingError struct{ text string }

// Error says what is missing and what there is.
func (e *MissingError) Error() string { return e.text }

// columns are the columns of a table, by name, with their types.
type columns map[string]string

// lookUp finds a table by its name as SQL has it, and gives that name in full and quoted, as the server quotes it.
func lookUp(ctx context.Context, conn *pgx.Conn, table string) (name string, found columns, err error) {
	err = conn.QueryRow(ctx, `
		SELECT pg_catalog.format('%I.%I', n.nspname, c.relname)
		FROM pg_catalog.pg_class AS c
		JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		WHERE c.oid = pg_catalog.to_regclass($1)`, table).Scan(&name)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil, &MissingError{fmt.Sprintf("there is no table %s in the source: name it with --source-table, and its database with --source-dsn", table)}
	}
	if err != nil {
		return "", nil, err
	}
	rows, err := conn.Query(ctx, `
		SELECT a.attname::text, a.atttypid::pg_catalog.regtype::text
		FROM pg_catalog.pg_attribute AS a
		WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped`, table)
	if err != nil {
		return "", nil, err
	}
	found = columns{}
	var column, kind string
	_, err = pgx.ForEachRow(rows, []any{&column, &kind}, func() error {
		found[column] = kind
		return nil
	})
	return name, found, err
}

// quoted is a column that is there.
func (c columns) quoted(column string) (string, error) {
	if _, there := c[column]; !there {
		names := make([]string, 0, len(c))
		for name := range c {
			names = append(names, name)
		}
		slices.Sort(names)
		return "", &MissingError{fmt.Sprintf("there is no column %q in the source's table: there are %s", column, strings.Join(names, ", "))}
	}
	return pgx.Identifier{column}.Sanitize(), nil
}

// has says whether a column is there.
func (c columns) has(column string) bool {
	_, there := c[column]
	return there
}
