package integration_test

import (
	"context"
	"maps"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/migrations"
)

// Every method of a repository works alike on a pool, a connection and a transaction, and WithTx in the caller's transaction, whatever the
// repository's own handle is.
func TestRepositoryOnEveryHandle(t *testing.T) {
	t.Parallel()
	t.Run("Pool", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		everyMethod(t, b.ctx, b.repo)
		requireAuditClean(t, b)
	})
	t.Run("Conn", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		everyMethod(t, b.ctx, repoOn(t, session(t, b)))
		requireAuditClean(t, b)
	})
	t.Run("Tx", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		inTx(t, b, func(tx pgx.Tx) { everyMethod(t, b.ctx, repoOn(t, tx)) })
		require.Positive(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events`))
		requireAuditClean(t, b)
	})
	t.Run("WithTx", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		tx, err := b.pool.Begin(b.ctx)
		require.NoError(t, err)
		everyMethod(t, b.ctx, b.repo.WithTx(tx))
		_, err = b.repo.Load(b.ctx, "order-1")
		require.ErrorIs(t, err, eventstream.ErrStreamNotFound, "nobody outside sees any of it")
		require.NoError(t, tx.Rollback(b.ctx))
		require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.streams`), "all was in the transaction")
	})
}

//nolint:revive // t first, as elsewhere
func everyMethod(t *testing.T, ctx context.Context, repo *eventstream.Repository) {
	events := someEvents(t, 4)
	appended, err := repo.Append(ctx, "order-1", eventstream.Empty, events[:2]...)
	require.NoError(t, err)
	require.Equal(t, int64(2), appended.LastVersion)
	many, err := repo.AppendMany(ctx,
		eventstream.AppendRequest{StreamID: "order-1", Expected: eventstream.Exact(2), Events: events[2:3]},
		eventstream.AppendRequest{StreamID: "cart-1", Expected: eventstream.Empty, Events: events[3:]})
	require.NoError(t, err)
	require.Len(t, many, 2)
	ingest := numbered(t, 3)
	result, err := repo.Ingest(ctx, "edge-1", ingest[0], ingest[2])
	require.NoError(t, err)
	require.Equal(t, int64(1), result.Pending)
	watermark, err := repo.AdvanceWatermark(ctx, "edge-1")
	require.NoError(t, err)
	require.Equal(t, int64(1), watermark)
	_, err = repo.Ingest(ctx, "edge-1", ingest[1])
	require.NoError(t, err)
	watermark, err = repo.Watermark(ctx, "edge-1")
	require.NoError(t, err)
	require.Equal(t, int64(3), watermark)

	stream, err := repo.Load(ctx, "order-1")
	require.NoError(t, err)
	require.Equal(t, int64(3), stream.CurrentVersion())
	fresh, err := repo.GetOrCreate(ctx, "order-2")
	require.NoError(t, err)
	_, err = fresh.AppendEvent(anEvent(t, 1))
	require.NoError(t, err)
	saved, err := repo.Save(ctx, fresh)
	require.NoError(t, err)
	require.Equal(t, int64(1), saved.LastVersion)

	require.Len(t, readAll(t, repo.Read(ctx, "order-1", eventstream.ReadOptions{})), 3)
	found, err := repo.Event(ctx, events[3].ID)
	require.NoError(t, err)
	require.Equal(t, eventstream.StreamID("cart-1"), found.StreamID)
	head, err := repo.Stream(ctx, "cart-1")
	require.NoError(t, err)
	require.Equal(t, found.Position, head.LastPosition)
	require.NoError(t, repo.VerifyGapless(ctx, "order-1"))
	require.Len(t, readAll(t, repo.Streams(ctx, eventstream.StreamFilter{})), 4)
	count, err := repo.CountStreams(ctx, eventstream.StreamFilter{Category: "order"})
	require.NoError(t, err)
	require.Equal(t, int64(2), count)
	stats, err := repo.PartitionStats(ctx)
	require.NoError(t, err)
	require.NotEmpty(t, stats)
	findings, err := repo.Audit(ctx)
	require.NoError(t, err)
	require.Empty(t, findings)
}

// GetOrCreate, AppendEvent, Save, and the same again, with another writer in between.
func TestSaveLifeCycle(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.repo.Load(b.ctx, "order-1")
	var missing *eventstream.StreamNotFoundError
	require.ErrorAs(t, err, &missing)
	require.Equal(t, eventstream.StreamID("order-1"), missing.StreamID)

	mine, err := b.repo.GetOrCreate(b.ctx, "order-1")
	require.NoError(t, err)
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.streams`), "nothing is written")
	nothing, err := b.repo.Save(b.ctx, mine)
	require.NoError(t, err)
	require.Equal(t, eventstream.AppendResult{}, nothing)
	theirs, err := b.repo.GetOrCreate(b.ctx, "order-1")
	require.NoError(t, err)

	events := someEvents(t, 5)
	add := func(stream *eventstream.EventStream, events ...eventstream.Event) {
		t.Helper()
		for _, e := range events {
			_, err := stream.AppendEvent(e)
			require.NoError(t, err)
		}
	}
	add(mine, events[:2]...)
	result, err := b.repo.Save(b.ctx, mine)
	require.NoError(t, err)
	require.Equal(t, eventstream.AppendResult{FirstVersion: 1, LastVersion: 2, LastPosition: 2, CurrentVersion: 2}, result)
	require.Equal(t, int64(2), mine.Watermark())
	require.Empty(t, mine.NewEvents())
	result, err = b.repo.Save(b.ctx, mine)
	require.NoError(t, err)
	require.Equal(t, eventstream.AppendResult{CurrentVersion: 2}, result, "nothing new, nothing done")

	// Who was slower to create it hears so, and keeps the new events.
	add(theirs, events[2])
	_, err = b.repo.Save(b.ctx, theirs)
	require.ErrorIs(t, err, eventstream.ErrVersionConflict)
	require.Len(t, theirs.NewEvents(), 1)
	require.Zero(t, theirs.Watermark())

	// Loaded again, both are at version 2; one is first.
	theirs, err = b.repo.Load(b.ctx, "order-1")
	require.NoError(t, err)
	add(theirs, events[2])
	add(mine, events[3])
	_, err = b.repo.Save(b.ctx, theirs)
	require.NoError(t, err)
	_, err = b.repo.Save(b.ctx, mine)
	var conflict *eventstream.VersionConflictError
	require.ErrorAs(t, err, &conflict)
	require.Equal(t, eventstream.VersionConflictError{StreamID: "order-1", Expected: 2, Actual: 3}, *conflict)

	// In a transaction that is rolled back, nothing of a Save remains.
	theirs, err = b.repo.Load(b.ctx, "order-1")
	require.NoError(t, err)
	add(theirs, events[4])
	tx, err := b.pool.Begin(b.ctx)
	require.NoError(t, err)
	_, err = b.repo.WithTx(tx).Save(b.ctx, theirs)
	require.NoError(t, err)
	require.NoError(t, tx.Rollback(b.ctx))
	requireHolds(t, b, "order-1", events[:3]...)

	loaded, err := b.repo.Load(b.ctx, "order-1")
	require.NoError(t, err)
	require.True(t, loaded.IsGapless())
	head, err := b.repo.Stream(b.ctx, "order-1")
	require.NoError(t, err)
	require.Equal(t, []any{head.CreatedAt, head.UpdatedAt, head.Partition, head.TenantID, head.CurrentVersion},
		[]any{loaded.CreatedAt(), loaded.UpdatedAt(), loaded.PartitionKey(), loaded.TenantID(), loaded.CurrentVersion()})
	requireAuditClean(t, b)
}

// A store with another number of partitions than New assumes.
func TestSaveIntoAStoreOf64Partitions(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	pool := newPool(t, dsn)
	b := &bundle{ctx: t.Context(), dsn: dsn, pool: pool, repo: repoOn(t, pool)}
	require.NoError(t, migrations.Up(b.ctx, b.pool, &migrations.Options{PartitionCount: 64}))

	seen := map[int]bool{}
	for _, id := range []eventstream.StreamID{"order-1", "order-2", "order-3", "order-4", "order-5", "order-6"} {
		want, err := eventstream.PartitionOf(id, 64)
		require.NoError(t, err)
		seen[want.ID] = true
		stream := eventstream.New(id)
		if id != "order-1" {
			stream, err = b.repo.GetOrCreate(b.ctx, id)
			require.NoError(t, err)
			require.Equal(t, want, stream.PartitionKey())
		}
		_, err = stream.AppendEvent(anEvent(t, 1))
		require.NoError(t, err)
		_, err = b.repo.Save(b.ctx, stream)
		require.NoError(t, err)
		require.Equal(t, want, stream.PartitionKey())
		loaded, err := b.repo.Load(b.ctx, id)
		require.NoError(t, err)
		require.Equal(t, want, loaded.PartitionKey())
		require.Equal(t, want.ID, loaded.EventsFrom(1)[0].PartitionID)
	}
	require.Greater(t, slices.Max(slices.Collect(maps.Keys(seen))), 31, "a partition that a store of 32 does not have")
	stats, err := b.repo.PartitionStats(b.ctx)
	require.NoError(t, err)
	require.Equal(t, 64, stats[0].Partition.Count)
	requireAuditClean(t, b)
}

// How many times a call waits for the server, once its statements are prepared.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	b := setup(t)
	hundred := given(t, b, "hundred-1", 100)
	w := &wire{}
	counts := &queryCounter{}
	config := b.pool.Config()
	config.ConnConfig.DialFunc = w.dial
	config.ConnConfig.Tracer = counts
	pool, err := pgxpool.NewWithConfig(b.ctx, config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	repo := repoOn(t, pool)
	saved, err := repo.GetOrCreate(b.ctx, "save-1")
	require.NoError(t, err)

	twenty := func() []eventstream.AppendRequest {
		requests := make([]eventstream.AppendRequest, 20)
		for i := range requests {
			requests[i] = eventstream.AppendRequest{
				StreamID: eventstream.StreamID("many-" + string(rune('a'+i))), Expected: eventstream.Any, Events: someEvents(t, 2),
			}
		}
		return requests
	}
	numbers := numbered(t, 3)
	var ingest int
	for name, call := range map[string]func() error{
		"AppendOne": func() error {
			_, err := repo.Append(b.ctx, "order-1", eventstream.Any, anEvent(t, 1))
			return err
		},
		"LoadHundred": func() error {
			stream, err := repo.Load(b.ctx, "hundred-1")
			require.Equal(t, len(hundred), stream.EventCount())
			return err
		},
		"AppendManyOverTwenty": func() error {
			results, err := repo.AppendMany(b.ctx, twenty()...)
			require.Len(t, results, 20)
			return err
		},
		"Ingest": func() error {
			ingest++
			_, err := repo.Ingest(b.ctx, "edge-1", numbers[ingest-1])
			return err
		},
		"Save": func() error {
			_, err := saved.AppendEvent(anEvent(t, 1))
			require.NoError(t, err)
			_, err = repo.Save(b.ctx, saved)
			return err
		},
		"Stream": func() error { _, err := repo.Stream(b.ctx, "hundred-1"); return err },
		"Event":  func() error { _, err := repo.Event(b.ctx, hundred[50].ID); return err },
		"ReadAPage": func() error {
			for _, err := range repo.Read(b.ctx, "hundred-1", eventstream.ReadOptions{}) {
				if err != nil {
					return err
				}
			}
			return nil
		},
	} {
		require.NoError(t, call(), name)
		trips, queries := w.trips.Load(), counts.count()
		require.NoError(t, call(), name)
		require.Equal(t, int64(1), w.trips.Load()-trips, "round trips of %s", name)
		require.Equal(t, 1, counts.count()-queries, "statements of %s", name)
	}
}

// queryCounter is a pgx tracer that counts the statements of all connections.
type queryCounter struct{ queries atomic.Int64 }

func (c *queryCounter) count() int { return int(c.queries.Load()) }

func (c *queryCounter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	c.queries.Add(1)
	return ctx
}

func (c *queryCounter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// Everything works in each of pgx's ways to send a query.
func TestRepositoryInEveryQueryMode(t *testing.T) {
	t.Parallel()
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
		pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			b := setup(t, withQueryMode(mode))
			everyMethod(t, b.ctx, b.repo)
			everyKindOfValue(t, b)
			requireAuditClean(t, b)
		})
	}
}

// everyKindOfValue sends each kind of argument, which the query modes write down differently.
func everyKindOfValue(t *testing.T, b *bundle) {
	t.Helper()
	elsewhere := eventstream.PartitionKey{ID: 9, Count: 32}
	awkward := `a"b'c\d{e},f ` + "\t\n\U0001F600$1"
	first := anEvent(t, 1, eventstream.WithData([]byte{0, 1, 0xff, '\\', '"'}), eventstream.WithTenant("acme"),
		eventstream.WithMetadata(map[string]string{"note": awkward}))
	second, err := eventstream.NewEvent("order.noted", awkward)
	require.NoError(t, err)
	third, err := eventstream.NewEvent("order.scanned", nil, eventstream.WithData(nil))
	require.NoError(t, err)
	events := []eventstream.Event{first, second, third}
	id := eventstream.StreamID(`it's "{,}" \ 1`)
	requests := []eventstream.AppendRequest{
		{StreamID: id, Expected: eventstream.Empty, Events: events, Partition: &elsewhere},
		{StreamID: "plain-1", Expected: eventstream.Empty, Events: someEvents(t, 1)},
	}
	for _, duplicate := range []bool{false, true} {
		results, err := b.repo.AppendMany(b.ctx, requests...)
		require.NoError(t, err)
		require.Equal(t, []bool{duplicate, duplicate}, []bool{results[0].Duplicate, results[1].Duplicate})
	}
	stream, err := b.repo.Load(b.ctx, id)
	require.NoError(t, err)
	require.Equal(t, elsewhere, stream.PartitionKey())
	require.Equal(t, eventstream.TenantID("acme"), stream.TenantID())
	for i, got := range stream.EventsFrom(1) {
		require.Equal(t, events[i].ID, got.ID)
		require.Equal(t, events[i].Data, got.Data)
		require.Equal(t, events[i].OccurredAt, got.OccurredAt)
		if events[i].Payload != nil {
			require.JSONEq(t, string(events[i].Payload), string(got.Payload))
		}
	}
	note, err := eventstream.DecodeMetadata[map[string]string](stream.EventsFrom(1)[0])
	require.NoError(t, err)
	require.Equal(t, awkward, note["note"])

	for i := range events {
		events[i].ID, events[i].Version = anEvent(t, 0).ID, int64(3-i)
	}
	for range 2 {
		result, err := b.repo.Ingest(b.ctx, "values-1", events...)
		require.NoError(t, err)
		require.Equal(t, int64(3), result.Watermark)
	}
	last, err := b.repo.Event(b.ctx, events[0].ID)
	require.NoError(t, err)
	require.Equal(t, first.Data, last.Data)
}
