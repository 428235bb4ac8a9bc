package integration_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// byTags asks for events that carry all of the tags.
func byTags(tags ...string) eventstream.Query {
	return eventstream.Query{{Tags: tags}}
}

// tagged is an event with tags.
func tagged(t tester, tags ...string) eventstream.Event {
	t.Helper()
	return anEvent(t, 1, eventstream.WithTags(tags...))
}

// toStream is a request to one stream, at any version.
func toStream(id eventstream.StreamID, events ...eventstream.Event) eventstream.AppendRequest {
	return eventstream.AppendRequest{StreamID: id, Expected: eventstream.Any, Events: events}
}

// decide appends an event without tags to a stream, if nothing that matches came after the position: the hardest case, since the decision
// leaves no tag of its own behind.
func decide(
	t tester, ctx context.Context, repo *eventstream.Repository, query eventstream.Query, position int64, id eventstream.StreamID, //nolint:revive // t first, as elsewhere
) ([]eventstream.AppendResult, error) {
	return repo.AppendIf(ctx, query, position, toStream(id, anEvent(t, 1)))
}

// position is what a decision on a query is made at.
func position(t *testing.T, b *bundle, query eventstream.Query) int64 {
	t.Helper()
	_, at, err := b.repo.ReadQuery(b.ctx, query, 0)
	require.NoError(t, err)
	return at
}

// insertTagged writes the first event of a stream by a raw INSERT.
func insertTagged(ctx context.Context, q querier, id, eventType string, tags ...string) error {
	metadata, err := json.Marshal(map[string][]string{"tags": tags})
	if err != nil {
		return err
	}
	_, err = q.Exec(ctx, `INSERT INTO eventstream.events (stream_id, version, type, payload, metadata, partition_id)
		VALUES ($1::text, 1, $2::text, '{}', $3::text::jsonb, eventstream.partition_of($1::text, eventstream.partition_count()))`,
		id, eventType, string(metadata))
	return err
}

// copyTagged writes the first event of a stream by COPY.
func copyTagged(ctx context.Context, q querier, id string, tags ...string) error {
	var partition int32
	if err := q.QueryRow(ctx, `SELECT eventstream.partition_of($1, eventstream.partition_count())`, id).Scan(&partition); err != nil {
		return err
	}
	copier := q.(interface {
		CopyFrom(context.Context, pgx.Identifier, []string, pgx.CopyFromSource) (int64, error)
	})
	_, err := copier.CopyFrom(ctx, pgx.Identifier{"eventstream", "events"},
		[]string{"stream_id", "version", "type", "payload", "metadata", "partition_id"},
		pgx.CopyFromRows([][]any{{id, int64(1), "order.placed", map[string]any{}, map[string]any{"tags": tags}, partition}}))
	return err
}

// taggedWriters are the ways in which an event with tags is written, each the first event of a stream of its own.
func taggedWriters(t *testing.T) map[string]func(ctx context.Context, q querier, id string, tags ...string) error {
	return map[string]func(ctx context.Context, q querier, id string, tags ...string) error{
		"Append": func(ctx context.Context, q querier, id string, tags ...string) error {
			_, err := repoOn(t, q).Append(ctx, eventstream.StreamID(id), eventstream.Empty, tagged(t, tags...))
			return err
		},
		"AppendMany": func(ctx context.Context, q querier, id string, tags ...string) error {
			_, err := repoOn(t, q).AppendMany(ctx, toStream(eventstream.StreamID(id), tagged(t, tags...), anEvent(t, 2)))
			return err
		},
		"Ingest": func(ctx context.Context, q querier, id string, tags ...string) error {
			e := tagged(t, tags...)
			e.Version = 1
			_, err := repoOn(t, q).Ingest(ctx, eventstream.StreamID(id), e)
			return err
		},
		"INSERT": func(ctx context.Context, q querier, id string, tags ...string) error {
			return insertTagged(ctx, q, id, "order.placed", tags...)
		},
		"COPY": copyTagged,
	}
}

// stopBetweenDrawAndGate lets a writer of events of type order.stopped draw its position and then wait, before the gate has seen it, until
// the returned function is called. The lock is a session's of its own.
func stopBetweenDrawAndGate(t *testing.T, b *bundle) (holder uint32, release func()) {
	t.Helper()
	execSQL(t, b.ctx, b.pool, `CREATE FUNCTION public.stop() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN PERFORM pg_catalog.pg_advisory_xact_lock(4711); RETURN new; END'`)
	execSQL(t, b.ctx, b.pool, `CREATE TRIGGER stop BEFORE INSERT ON eventstream.events FOR EACH ROW
		WHEN (new.type = 'order.stopped') EXECUTE FUNCTION public.stop()`)
	return holdStopped(t, b)
}

// holdStopped lets writers wait once more.
func holdStopped(t *testing.T, b *bundle) (holder uint32, release func()) {
	t.Helper()
	conn := session(t, b)
	execSQL(t, b.ctx, conn, `SELECT pg_catalog.pg_advisory_lock(4711)`)
	return conn.PgConn().PID(), func() {
		t.Helper()
		execSQL(t, b.ctx, conn, `SELECT pg_catalog.pg_advisory_unlock(4711)`)
	}
}

// requireDecisionsHold recounts the log: between the position of a decision and its last event, nothing matches its query but what it
// appended itself.
func requireDecisionsHold(t *testing.T, b *bundle) {
	t.Helper()
	require.Empty(t, texts(t, b, `
		SELECT format('decision at %s, made at %s, overlooks the event at %s', d.position, d.metadata #>> '{decided,position}', e.position)
		FROM eventstream.events AS d
		JOIN eventstream.events AS e ON e.position > (d.metadata #>> '{decided,position}')::bigint AND e.position < d.position
			AND e.xmin <> d.xmin AND e.metadata ? 'tags'
			AND eventstream.matches_query(d.metadata #> '{decided,query}', e.type, e.metadata -> 'tags')
		WHERE d.metadata ? 'decided'`), "decisions that overlook an event")
}

func requireConflict(t *testing.T, err error, found int64, msg ...any) {
	t.Helper()
	var conflict *eventstream.DecisionConflictError
	require.ErrorAs(t, err, &conflict, msg...)
	require.ErrorIs(t, err, eventstream.ErrDecisionConflict)
	if found > 0 {
		require.Equal(t, found, conflict.Found)
	}
	require.Contains(t, err.Error(), fmt.Sprint(conflict.Position))
}
