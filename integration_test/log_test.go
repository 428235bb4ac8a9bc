package integration_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// What ReadLog promises besides the right events: errors that say what is wrong, an end, and no hold on anything.

// logError reads a log that is to give nothing but one error.
func logError(t testing.TB, repo *eventstream.Repository, ctx context.Context, options eventstream.LogOptions) error { //nolint:revive // t first
	t.Helper()
	var errs []error
	for e, err := range repo.ReadLog(ctx, options) {
		require.Error(t, err, "got position %d", e.Position)
		require.Zero(t, e)
		errs = append(errs, err)
	}
	require.Len(t, errs, 1, "an error comes once, and last")
	return errs[0]
}

// Options that cannot be met are refused, and the error names the field, the value and the bounds.
func TestLogRefusesBadOptions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 3)
	for _, c := range []struct {
		options eventstream.LogOptions
		words   []string
	}{
		{eventstream.LogOptions{Limit: -1}, []string{"LogOptions.Limit", `"-1"`, "0 or more"}},
		{eventstream.LogOptions{From: eventstream.FromPosition(0)}, []string{"position", `"0"`, "1 or more"}},
		{eventstream.LogOptions{From: eventstream.FromPosition(-5)}, []string{"position", `"-5"`}},
		{eventstream.LogOptions{From: eventstream.FromSequence(0)}, []string{"sequence", `"0"`, "1 or more"}},
		{eventstream.LogOptions{From: eventstream.FromTime(time.Time{})}, []string{"time", "years 1 to 9999"}},
		{eventstream.LogOptions{From: eventstream.FromPartitionSequences(map[int]int64{32: 1})}, []string{"partition", `"32"`, "from 0 to 31"}},
		{eventstream.LogOptions{From: eventstream.FromPartitionSequences(map[int]int64{-1: 1})}, []string{"partition", `"-1"`}},
		{eventstream.LogOptions{From: eventstream.FromPartitionSequences(map[int]int64{4: 0})}, []string{"partition 4", `"0"`, "1 or more"}},
		{
			eventstream.LogOptions{From: eventstream.FromPartitionSequences(map[int]int64{4: 1}), Backwards: true},
			[]string{"FromPartitionSequences", "backwards"},
		},
		{eventstream.LogOptions{Filter: eventstream.LogFilter{Partitions: []int{0, 32}}}, []string{"LogFilter.Partitions", `"32"`, "from 0 to 31"}},
		{eventstream.LogOptions{Filter: eventstream.LogFilter{Partitions: []int{-1}}}, []string{"LogFilter.Partitions", `"-1"`}},
		{eventstream.LogOptions{Filter: eventstream.LogFilter{Category: "order-1"}}, []string{"LogFilter.Category", "before its first -"}},
		{eventstream.LogOptions{Filter: eventstream.LogFilter{Category: "a\x00"}}, []string{"LogFilter.Category"}},
		{eventstream.LogOptions{Filter: eventstream.LogFilter{Types: []eventstream.EventType{"a.b", " Ä"}}}, []string{"type", `" Ä"`}},
		{eventstream.LogOptions{Filter: eventstream.LogFilter{Tenant: eventstream.TenantID(strings.Repeat("x", 300))}}, []string{"tenant"}},
	} {
		err := logError(t, b.repo, b.ctx, c.options)
		require.ErrorIs(t, err, eventstream.ErrInvalidValue, "%+v", c.options)
		for _, word := range c.words {
			require.Contains(t, err.Error(), word)
		}
	}
}

// The end of the log, and the place after it, which is still to come, may be asked for; what is beyond that comes from another database.
func TestLogRefusesWhatIsBeyondItsEnd(t *testing.T) {
	t.Parallel()
	b := setup(t)
	beyond := func(from eventstream.Start, want eventstream.BeyondLogError) {
		t.Helper()
		for _, backwards := range []bool{false, true} {
			if strings.HasPrefix(want.Field, "sequence of") && backwards {
				continue
			}
			err := logError(t, b.repo, b.ctx, eventstream.LogOptions{From: from, Backwards: backwards})
			var got *eventstream.BeyondLogError
			require.ErrorAs(t, err, &got)
			require.Equal(t, want, *got)
		}
	}
	forwards := func(from eventstream.Start) []string {
		t.Helper()
		return placesOf(readAll(t, b.repo.ReadLog(b.ctx, eventstream.LogOptions{From: from})))
	}
	require.Empty(t, forwards(eventstream.FromPosition(1)))
	require.Empty(t, forwards(eventstream.FromSequence(1)))
	beyond(eventstream.FromPosition(2), eventstream.BeyondLogError{Field: "position", Value: 2, Last: 0})
	beyond(eventstream.FromSequence(2), eventstream.BeyondLogError{Field: "sequence", Value: 2, Last: 0})

	for _, id := range []string{"order-1", "gone-1", "order-2"} { // positions 1, 2 and 3 to 5
		a := newActor(t, b)
		execSQL(t, b.ctx, a.tx, rawInsert, id, 1)
		a.end(t, b, id != "gone-1")
	}
	for range 2 { // before and after the position is kept
		require.Equal(t, []string{"order-2 1"}, forwards(eventstream.FromPosition(2)))
		require.Equal(t, []string{"order-2 1"}, forwards(eventstream.FromPosition(3)))
		require.Empty(t, forwards(eventstream.FromPosition(4)))
		require.Equal(t, []string{"order-2 1"}, forwards(eventstream.FromSequence(2)))
		require.Empty(t, forwards(eventstream.FromSequence(3)))
		require.Empty(t, forwards(eventstream.FromLatest))
		beyond(eventstream.FromPosition(5), eventstream.BeyondLogError{Field: "position", Value: 5, Last: 3})
		beyond(eventstream.FromSequence(4), eventstream.BeyondLogError{Field: "sequence", Value: 4, Last: 2})
		home := readAll(t, b.repo.ReadLog(b.ctx, eventstream.LogOptions{Limit: 1}))[0].PartitionID
		require.NotContains(t, forwards(eventstream.FromPartitionSequences(map[int]int64{home: 2})), "order-1 1")
		last := number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events WHERE partition_id = $1`, home)
		beyond(eventstream.FromPartitionSequences(map[int]int64{home: last + 2}),
			eventstream.BeyondLogError{Field: fmt.Sprintf("sequence of partition %d", home), Value: last + 2, Last: last})
		execSQL(t, b.ctx, b.pool, advance)
	}
}

// Reading ends where the log was stable when it began, whatever is appended or becomes stable meanwhile; the next read gets that.
func TestLogEndsWhereItWasStable(t *testing.T) {
	t.Parallel()
	for name, filter := range map[string]eventstream.LogFilter{"All": {}, "OfACategory": {Category: "order"}} {
		for _, backwards := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%t", name, backwards), func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				repo := sizedRepo(t, b.pool, 1)
				given(t, b, "order-1", 100)
				a := newActor(t, b)
				execSQL(t, b.ctx, a.tx, rawInsert, "order-held", 1)
				seen := 0
				for e, err := range repo.ReadLog(b.ctx, eventstream.LogOptions{Filter: filter, Backwards: backwards}) {
					require.NoError(t, err)
					require.EqualValues(t, "order-1", e.StreamID)
					if seen++; seen == 10 {
						given(t, b, "order-2", 50)
						a.end(t, b, true)
						execSQL(t, b.ctx, b.pool, advance)
					}
				}
				require.Equal(t, 100, seen)
				require.Len(t, readAll(t, repo.ReadLog(b.ctx, eventstream.LogOptions{Filter: filter, Backwards: backwards})), 151)
			})
		}
	}
}

// A position that was drawn, and is not stable yet, is one to read from: nothing comes from there, for now.
func TestLogFromAPositionThatIsNotStable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 2)
	a := newActor(t, b)
	execSQL(t, b.ctx, a.tx, rawInsert, "held-1", 1)
	result, err := b.repo.Append(b.ctx, "order-2", eventstream.Empty, anEvent(t, 1))
	require.NoError(t, err)
	from := eventstream.LogOptions{From: eventstream.FromPosition(result.LastPosition)}
	require.Empty(t, readAll(t, b.repo.ReadLog(b.ctx, from)))
	a.end(t, b, true)
	require.Equal(t, []string{"order-2 1"}, placesOf(readAll(t, b.repo.ReadLog(b.ctx, from))))
	from.Backwards = true
	require.Len(t, readAll(t, b.repo.ReadLog(b.ctx, from)), 4)
	from.From = eventstream.FromPosition(result.LastPosition + 2)
	require.ErrorIs(t, logError(t, b.repo, b.ctx, from), eventstream.ErrBeyondLog)
}

// A transaction does not get its own events by the log before it has committed: they are not stable.
func TestLogOfATransactionsOwnEvents(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 2)
	a := newActor(t, b)
	given(t, b, "order-2", 1)
	_, err := a.repo.Append(b.ctx, "order-3", eventstream.Empty, anEvent(t, 1))
	require.NoError(t, err)
	for name, read := range map[string]func() []eventstream.LogEvent{
		"Tx": func() []eventstream.LogEvent {
			return readAll(t, b.repo.WithTx(a.tx).ReadLog(b.ctx, eventstream.LogOptions{}))
		},
		"TxHandle":    func() []eventstream.LogEvent { return readAll(t, a.repo.ReadLog(b.ctx, eventstream.LogOptions{})) },
		"OtherHandle": func() []eventstream.LogEvent { return readAll(t, b.repo.ReadLog(b.ctx, eventstream.LogOptions{})) },
	} {
		require.Equal(t, []string{"order-1 1", "order-1 2", "order-2 1"}, placesOf(read()), name)
	}
	a.end(t, b, true)
	requireLog(t, b, "order-1 1", "order-1 2", "order-2 1", "order-3 1")
}

// A transaction of one snapshot gets the same log again and again, up to the position that was kept when it began.
func TestLogInOneSnapshot(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 7)
	execSQL(t, b.ctx, b.pool, advance)
	given(t, b, "order-2", 2)
	for _, level := range []pgx.TxIsoLevel{pgx.RepeatableRead, pgx.Serializable} {
		tx, err := session(t, b).BeginTx(b.ctx, pgx.TxOptions{IsoLevel: level})
		require.NoError(t, err)
		repo := pagedRepo(t, tx)
		first := readAll(t, repo.ReadLog(b.ctx, eventstream.LogOptions{}))
		require.NotEmpty(t, first)
		given(t, b, eventstream.StreamID("order-"+string(level)), 20)
		execSQL(t, b.ctx, b.pool, advance)
		require.Equal(t, first, readAll(t, repo.ReadLog(b.ctx, eventstream.LogOptions{})))
		require.Equal(t, first[3:], readAll(t, repo.ReadLog(b.ctx, eventstream.LogOptions{From: eventstream.FromSequence(4)})))
		head, err := repo.LogHead(b.ctx)
		require.NoError(t, err)
		last := first[len(first)-1]
		require.Equal(t, eventstream.LogHead{Position: last.Position, Sequence: last.Sequence}, head)
		require.Empty(t, readAll(t, repo.ReadLog(b.ctx, eventstream.LogOptions{From: eventstream.FromPosition(drawn(t, b) + 1)})))
		require.ErrorIs(t, logError(t, repo, b.ctx, eventstream.LogOptions{From: eventstream.FromSequence(last.Sequence + 2)}), eventstream.ErrBeyondLog)
		require.NoError(t, tx.Rollback(b.ctx))
	}
}

// The body of the loop may use the same connection, leave whenever it likes, and start the same reading again.
func TestLogLoopHoldsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(1))
	given(t, b, "order-1", 20)
	for _, handle := range []eventstream.Handle{b.pool, session(t, b)} {
		repo := sizedRepo(t, handle, 1)
		log := repo.ReadLog(b.ctx, eventstream.LogOptions{})
		for stop := 1; stop <= 20; stop += 4 {
			seen := 0
			for e, err := range log {
				require.NoError(t, err)
				stream, err := repo.Stream(b.ctx, e.StreamID)
				require.NoError(t, err)
				require.Equal(t, int64(20), stream.CurrentVersion)
				if seen++; seen == stop {
					break
				}
			}
			require.Equal(t, stop, seen)
		}
		require.Len(t, readAll(t, log), 20)
	}
}

// A context that ends, or a connection that is lost, is an error of the loop, after the events that came before it.
func TestLogThatBreaksOff(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 40)
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	ctxOfPool, cancelPool := context.WithCancel(b.ctx)
	defer cancelPool()
	lost, page := session(t, b), []int{8}
	for name, c := range map[string]struct {
		ctx     context.Context
		repo    *eventstream.Repository
		breakIt func()
		// seen is how many events may have come until then.
		seen []int
	}{
		"Canceled": {ctx, sizedRepo(t, session(t, b), 1), cancel, page},
		"Lost":     {b.ctx, sizedRepo(t, lost, 1), func() { terminate(t, b, lost.PgConn().PID()) }, page},
		// On a pool the next page is read meanwhile, and may be there already.
		"CanceledOnAPool": {ctxOfPool, sizedRepo(t, b.pool, 1), cancelPool, append(page, 16)},
	} {
		seen, failed := 0, 0
		for e, err := range c.repo.ReadLog(c.ctx, eventstream.LogOptions{}) {
			if err != nil {
				failed++
				require.Zero(t, e)
				continue
			}
			require.Zero(t, failed, name)
			if seen++; seen == 2 {
				c.breakIt()
			}
		}
		require.Equal(t, 1, failed, name)
		require.Contains(t, c.seen, seen, "%s: the rest of the page that was there", name)
	}
}

// An event by the log is the event by its id, with every part; and it survives JSON.
func TestLogEventsAreWhole(t *testing.T) {
	t.Parallel()
	b := setup(t)
	full := anEvent(t, 1, eventstream.WithTenant("acme"), eventstream.WithData([]byte{0, 1, 255}),
		eventstream.WithMetadata(map[string]string{"trace": "x"}))
	_, err := b.repo.Append(b.ctx, "order-1", eventstream.Empty, full)
	require.NoError(t, err)
	given(t, b, "order-2", 1)
	for _, options := range []eventstream.LogOptions{
		{}, {Backwards: true}, {Filter: eventstream.LogFilter{Category: "order"}}, {Filter: eventstream.LogFilter{Partitions: every(32)}},
	} {
		events := readAll(t, b.repo.ReadLog(b.ctx, options))
		require.Len(t, events, 2)
		for _, e := range events {
			want, err := b.repo.Event(b.ctx, e.ID)
			require.NoError(t, err)
			require.Equal(t, want, e.Event)
		}
	}
	require.Equal(t, []uuid.UUID{full.ID}, idsOf([]eventstream.Event{
		readAll(t, b.repo.ReadLog(b.ctx, eventstream.LogOptions{Filter: eventstream.LogFilter{Tenant: "acme"}}))[0].Event,
	}))
}

func every(count int) []int {
	all := make([]int, count)
	for i := range all {
		all[i] = i
	}
	return all
}
