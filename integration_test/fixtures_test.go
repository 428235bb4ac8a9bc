package integration_test

import (
	"context"
	"fmt"
	"iter"
	"os"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// querier is a pool, a connection or a transaction.
type querier = eventstream.Handle

// tester is a test, or a run of a property.
type tester interface {
	require.TestingT
	Helper()
}

// anEvent is an event that differs from every other one by its id, and says n.
func anEvent(t tester, n int, opts ...eventstream.EventOption) eventstream.Event {
	t.Helper()
	e, err := eventstream.NewEvent("order.placed", map[string]int{"n": n}, opts...)
	require.NoError(t, err)
	return e
}

func someEvents(t tester, count int, opts ...eventstream.EventOption) []eventstream.Event {
	t.Helper()
	events := make([]eventstream.Event, count)
	for i := range events {
		events[i] = anEvent(t, i+1, opts...)
	}
	return events
}

// numbered is events of one stream with their versions given: 1 to count.
func numbered(t tester, count int, opts ...eventstream.EventOption) []eventstream.Event {
	t.Helper()
	events := someEvents(t, count, opts...)
	for i := range events {
		events[i].Version = int64(i + 1)
	}
	return events
}

// repoOn is the repository that most tests use. GAPLESS_TEST_GROUP=off lets each of its Appends commit by itself.
func repoOn(t testing.TB, handle eventstream.Handle) *eventstream.Repository {
	t.Helper()
	config := &eventstream.Config{}
	config.Group.Off = os.Getenv("GAPLESS_TEST_GROUP") == "off"
	repo, err := eventstream.NewRepository(handle, config)
	require.NoError(t, err)
	return repo
}

// given puts count events into a stream before a test begins.
func given(t testing.TB, b *bundle, id eventstream.StreamID, count int) []eventstream.Event {
	t.Helper()
	events := someEvents(t, count)
	_, err := b.repo.Append(b.ctx, id, eventstream.Empty, events...)
	require.NoError(t, err)
	return events
}

// drawn is the last position that anybody drew, committed or not.
func drawn(t testing.TB, b *bundle) int64 {
	t.Helper()
	return number(t, b.ctx, b.pool, `SELECT coalesce(pg_sequence_last_value('eventstream.events_position_seq'), 0)`)
}

func number(t tester, ctx context.Context, q querier, sql string, args ...any) (n int64) { //nolint:revive // t first, as elsewhere
	t.Helper()
	require.NoError(t, q.QueryRow(ctx, sql, args...).Scan(&n))
	return n
}

// untouched demands that what follows, until the test says so, neither draws a position nor leaves a row behind: what a refusal does.
func untouched(t testing.TB, b *bundle) (verify func()) {
	t.Helper()
	same, position := unwritten(t, b), drawn(t, b)
	return func() {
		t.Helper()
		same()
		require.Equal(t, position, drawn(t, b), "a refusal draws no position")
	}
}

// unwritten demands that what follows leaves no row behind. A repeated append, and misuse that the gate sees first, may use up positions.
func unwritten(t testing.TB, b *bundle) (verify func()) {
	t.Helper()
	const rows = `SELECT (SELECT count(*) FROM eventstream.events) + (SELECT count(*) FROM eventstream.pending_events)
		+ (SELECT count(*) FROM eventstream.discarded_events)`
	before := number(t, b.ctx, b.pool, rows)
	return func() {
		t.Helper()
		require.Equal(t, before, number(t, b.ctx, b.pool, rows), "events, those that wait, and those that were discarded")
	}
}

// requireHolds demands that a stream holds exactly these events, in this order, as a reader sees them.
func requireHolds(t tester, b *bundle, id eventstream.StreamID, events ...eventstream.Event) {
	t.Helper()
	require.Equal(t, idsOf(events), idsOf(readAll(t, b.repo.Read(b.ctx, id, eventstream.ReadOptions{}))), "stream %s", id)
}

func idsOf(events []eventstream.Event) []uuid.UUID {
	ids := make([]uuid.UUID, len(events))
	for i, e := range events {
		ids[i] = e.ID
	}
	return ids
}

func versionsOf(events []eventstream.Event) []int64 {
	versions := make([]int64, len(events))
	for i, e := range events {
		versions[i] = e.Version
	}
	return versions
}

func readAll[T any](t tester, seq iter.Seq2[T, error]) []T {
	t.Helper()
	var all []T
	for v, err := range seq {
		require.NoError(t, err)
		all = append(all, v)
	}
	return all
}

// inTx runs f in a transaction of its own on the pool, and commits.
func inTx(t testing.TB, b *bundle, f func(tx pgx.Tx)) {
	t.Helper()
	tx, err := b.pool.Begin(b.ctx)
	require.NoError(t, err)
	defer tx.Rollback(context.Background())
	f(tx)
	require.NoError(t, tx.Commit(b.ctx))
}

// start runs f beside the test; the channel gives its result.
func start[T any](f func() (T, error)) <-chan result[T] {
	done := make(chan result[T], 1)
	go func() {
		v, err := f()
		done <- result[T]{v, err}
	}()
	return done
}

type result[T any] struct {
	value T
	err   error
}

// outcome is a row of append_batch.
type outcome struct {
	Request                   int32
	Outcome                   *string
	First, Last, LastPosition *int64
	Current, Watermark        int64
	Tenant                    *string
}

func (o outcome) String() string {
	show := func(p *int64) string {
		if p == nil {
			return "-"
		}
		return fmt.Sprint(*p)
	}
	name := "-"
	if o.Outcome != nil {
		name = *o.Outcome
	}
	return fmt.Sprintf("%d %s %s..%s at %d/%d", o.Request, name, show(o.First), show(o.Last), o.Watermark, o.Current)
}

// request is one stream's part of a call of append_batch.
type request struct {
	stream    string
	expected  int64
	events    []eventstream.Event
	tenant    string
	partition *int32
}

// appendBatch calls the function as another language would, one array a column, and returns its rows as text
// ("1 appended 1..2 at 2/2": request, outcome, versions, watermark and current version).
func appendBatch(ctx context.Context, q querier, atomic bool, requests ...request) ([]string, error) {
	var (
		streams, types, payloads, tenants []string
		expected                          []int64
		counts                            []int32
		partitions                        []*int32
		ids                               []uuid.UUID
	)
	for _, r := range requests {
		streams, expected = append(streams, r.stream), append(expected, r.expected)
		counts, tenants = append(counts, int32(len(r.events))), append(tenants, r.tenant)
		partitions = append(partitions, r.partition)
		for _, e := range r.events {
			ids, types, payloads = append(ids, e.ID), append(types, string(e.Type)), append(payloads, string(e.Payload))
		}
	}
	rows, err := q.Query(ctx, `
		SELECT request, outcome, first_version, last_version, last_position, current_version, watermark, tenant_id
		FROM eventstream.append_batch($1, $2, $3, $4, $5, $6::text[]::jsonb[],
			p_tenant_ids => $7, p_partition_ids => $8, p_atomic => $9)`,
		streams, expected, counts, ids, types, payloads, tenants, partitions, atomic)
	if err != nil {
		return nil, err
	}
	outcomes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[outcome])
	lines := make([]string, len(outcomes))
	for i, o := range outcomes {
		lines[i] = o.String()
	}
	return lines, err
}
