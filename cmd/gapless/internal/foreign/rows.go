package foreign

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/gaplesspg/gapless/eventstream"
)

// Table is a history in a table of PostgreSQL.
type Table struct {
	config  *pgx.ConnConfig
	mapping Mapping
	options Options
	name    string
	query   query
	found   columns
	count   int64
	leftOut map[string]int64
}

// Options say what becomes of names and numbers, whatever the source.
type Options struct {
	// Prefix comes before the name of each stream.
	Prefix string
	// Renumber gives each event the next version of its stream, and keeps the source's number in metadata, as source_version.
	Renumber bool
	// System takes events that the store wrote for itself too.
	System bool
}

// OpenTable finds a table and its columns. It keeps no connection.
func OpenTable(ctx context.Context, config *pgx.ConnConfig, mapping Mapping, options Options) (*Table, error) {
	if err := mapping.check(); err != nil {
		return nil, err
	}
	t := &Table{config: config, mapping: mapping, options: options, leftOut: map[string]int64{}}
	return t, t.withTransaction(ctx, func(conn *pgx.Conn) error {
		var err error
		if t.name, t.found, err = lookUp(ctx, conn, mapping.Table); err != nil {
			return err
		}
		if mapping.Tenant != "" && mapping.defaultTenant != "" && !t.found.has(mapping.Tenant) {
			t.mapping.Tenant = ""
		}
		if t.query, err = t.mapping.build(t.name, t.found); err != nil {
			return err
		}
		return conn.QueryRow(ctx, t.query.count).Scan(&t.count)
	})
}

// Count is how many rows there were when it was opened.
func (t *Table) Count() int64 { return t.count }

// Numbered says whether the rows have versions of their own.
func (t *Table) Numbered() bool { return t.mapping.Version != "" && !t.options.Renumber }

// LeftOut counts what was passed over.
func (t *Table) LeftOut() map[string]int64 { return t.leftOut }

// withTransaction does something in a transaction that can change nothing, of a session of its own.
func (t *Table) withTransaction(ctx context.Context, do func(conn *pgx.Conn) error) error {
	conn, err := pgx.ConnectConfig(ctx, t.config)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	// It reads for as long as the import takes, with pauses while chunks are written.
	for _, sql := range []string{
		`SET statement_timeout = 0`, `SET idle_in_transaction_session_timeout = 0`, `SET client_encoding = 'UTF8'`, `BEGIN READ ONLY`,
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return do(conn)
}

// Events reads the rows in one statement, whose result is one state of the table, and which the server sends no faster than it is read.
func (t *Table) Events(ctx context.Context) iter.Seq2[eventstream.Event, error] {
	return func(yield func(eventstream.Event, error) bool) {
		ended := errors.New("ended by who reads")
		err := t.withTransaction(ctx, func(conn *pgx.Conn) error {
			if t.query.leftOut != "" {
				var n int64
				if err := conn.QueryRow(ctx, t.query.leftOut).Scan(&n); err != nil {
					return err
				}
				t.leftOut = leftOut(t.mapping.leftOutAs, n)
			}
			rows, err := conn.Query(ctx, t.query.text)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				event, err := t.event(rows)
				if err != nil && !isRefused(err) {
					return err
				}
				if !yield(event, err) {
					// Not to read what is left of the result.
					_ = conn.PgConn().Conn().Close()
					return ended
				}
			}
			return rows.Err()
		})
		if err != nil && !errors.Is(err, ended) {
			yield(eventstream.Event{}, err)
		}
	}
}

func isRefused(err error) bool {
	_, ok := errors.AsType[*Refused](err)
	return ok
}

func leftOut(why string, n int64) map[string]int64 {
	if n == 0 {
		return map[string]int64{}
	}
	return map[string]int64{why: n}
}

// row is what a row has.
type row struct {
	stream, kind              *string
	version                   *int64
	order, id, text, metadata *string
	tenant                    *string
	at                        pgtype.Timestamptz
	data                      []byte
}

func (t *Table) event(rows pgx.Rows) (eventstream.Event, error) {
	var r row
	if err := rows.Scan(&r.stream, &r.version, &r.order, &r.kind, &r.id, &r.at, &r.text, &r.data, &r.metadata, &r.tenant); err != nil {
		return eventstream.Event{}, fmt.Errorf("a row of the source: %w", err)
	}
	stream, number := "", int64(0)
	if r.stream != nil {
		stream = *r.stream
	}
	if r.version != nil {
		number = *r.version
	}
	where := numbered(stream, number)
	if t.mapping.Version != "" && r.version == nil {
		return eventstream.Event{}, refusef(BadVersion, where, "it has no version")
	}
	e := eventstream.Event{StreamID: eventstream.StreamID(t.options.Prefix + stream), TenantID: t.tenant(r.tenant)}
	if r.kind != nil {
		e.Type = eventstream.EventType(*r.kind)
	}
	if err := t.fill(&e, &r, number, where); err != nil {
		return e, err
	}
	return e, nil
}

// fill sets what is not a name.
func (t *Table) fill(e *eventstream.Event, r *row, number int64, where string) error {
	switch {
	case !r.at.Valid && t.mapping.Time != "":
		return refusef(BadTime, where, "it has no time")
	case r.at.InfinityModifier != pgtype.Finite:
		return refusef(BadTime, where, "its time is %v", r.at.InfinityModifier)
	case r.at.Valid:
		e.OccurredAt = r.at.Time.UTC()
	default:
		e.OccurredAt = time.Now().UTC().Truncate(time.Microsecond)
	}
	e.Data = r.data
	if r.text != nil {
		e.Payload = json.RawMessage(*r.text)
	} else if r.data == nil {
		e.Payload = json.RawMessage("null")
	}
	if r.metadata != nil && *r.metadata != "null" {
		e.Metadata = json.RawMessage(*r.metadata)
	}
	if err := t.identify(e, r, number); err != nil {
		return &Refused{BadMetadata, where, err}
	}
	switch {
	case t.mapping.Version == "":
	case t.options.Renumber:
		metadata, err := addMetadata(e.Metadata, "source_version", number)
		if err != nil {
			return &Refused{BadMetadata, where, err}
		}
		e.Metadata = metadata
	case number < t.mapping.FirstVersion:
		return refusef(BadVersion, where, "below the first version %d: say with --first-version which number comes first", t.mapping.FirstVersion)
	default:
		e.Version = number + 1 - t.mapping.FirstVersion
	}
	return nil
}

// identify keeps an id that is a UUID. Another one is kept in metadata, and stands for the one that is derived from it.
func (t *Table) identify(e *eventstream.Event, r *row, number int64) (err error) {
	if r.id == nil {
		place := fmt.Sprint(number)
		if t.mapping.Version == "" && r.order != nil {
			place = *r.order
		}
		e.ID = idOf("gapless import", t.name, string(e.StreamID), place)
		return nil
	}
	if id, err := uuid.Parse(strings.TrimSpace(*r.id)); err == nil && id != uuid.Nil {
		e.ID = id
		return nil
	}
	e.ID = idOf("gapless import", t.name, *r.id)
	e.Metadata, err = addMetadata(e.Metadata, "source_id", *r.id)
	return err
}

func (t *Table) tenant(name *string) eventstream.TenantID {
	if name == nil || *name == t.mapping.defaultTenant {
		return ""
	}
	return eventstream.TenantID(*name)
}
