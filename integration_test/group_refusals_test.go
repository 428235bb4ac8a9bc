package integration_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// attempt is one call of a batch that has good and bad ones.
type attempt struct {
	name     string
	expected eventstream.Expected
	events   []eventstream.Event
	// save makes it a Save of a stream that is not loaded, so new to its caller, in the usual partition.
	save bool
	// refused is the SQLSTATE or the error that this test wants to see in the batch, to be sure of what it tests.
	refused error
	code    string
}

func (a attempt) run(b *bundle, repo *eventstream.Repository) (eventstream.AppendResult, error) {
	if !a.save {
		return repo.Append(b.ctx, hot, a.expected, a.events...)
	}
	stream := eventstream.New(hot)
	if _, err := stream.AppendEvent(a.events[0]); err != nil {
		return eventstream.AppendResult{}, err
	}
	return repo.Save(b.ctx, stream)
}

// attempts are good calls and every kind of bad one. taken is an event of another stream.
func attempts(t *testing.T, taken eventstream.Event) []attempt {
	t.Helper()
	good := someEvents(t, 2)
	return []attempt{
		{name: "good", expected: eventstream.Any, events: good},
		{name: "wrong version", expected: eventstream.Exact(99), events: someEvents(t, 1), refused: eventstream.ErrVersionConflict},
		{name: "stream exists", expected: eventstream.Empty, events: someEvents(t, 1), refused: eventstream.ErrVersionConflict},
		{name: "right version", expected: eventstream.Exact(4), events: someEvents(t, 1)},
		{name: "other tenant", expected: eventstream.Any, events: someEvents(t, 1, eventstream.WithTenant("b")), refused: eventstream.ErrTenantMismatch},
		{name: "event of another stream", expected: eventstream.Any, events: []eventstream.Event{taken}, refused: eventstream.ErrEventIDConflict, code: "ES005"},
		{name: "good beside it", expected: eventstream.Exists, events: someEvents(t, 3, eventstream.WithTenant("a"))},
		{name: "bad value", expected: eventstream.Any, events: []eventstream.Event{anEvent(t, 1), anEvent(t, 9)}, code: "23514"},
		{name: "again", expected: eventstream.Any, events: good},
		{name: "wrong partition", events: someEvents(t, 1), save: true, refused: eventstream.ErrPartitionMismatch, code: "ES007"},
		{name: "bad value and a wrong version", expected: eventstream.Exact(1), events: []eventstream.Event{anEvent(t, 9)}, refused: eventstream.ErrVersionConflict},
		{name: "event of an earlier append", expected: eventstream.Any, events: []eventstream.Event{good[1], anEvent(t, 2)}, code: "ES005"},
		{name: "last", expected: eventstream.Exact(8), events: someEvents(t, 1, eventstream.WithMetadata(map[string]int{"n": 1}))},
	}
}

// stage makes the streams that attempts are about, the hot one in a partition of its own choice, and another; and a rule that only this
// database has.
func stage(t *testing.T, b *bundle, first, taken eventstream.Event) {
	t.Helper()
	execSQL(t, b.ctx, b.pool, `ALTER TABLE eventstream.events ADD CONSTRAINT no_nines CHECK (payload ->> 'n' <> '9')`)
	usual, err := eventstream.PartitionOf(hot, eventstream.DefaultPartitionCount)
	require.NoError(t, err)
	unusual := eventstream.PartitionKey{ID: (usual.ID + 1) % usual.Count, Count: usual.Count}
	_, err = b.repo.AppendMany(b.ctx,
		eventstream.AppendRequest{StreamID: hot, Expected: eventstream.Empty, Events: []eventstream.Event{first}, Partition: &unusual},
		eventstream.AppendRequest{StreamID: "other-1", Expected: eventstream.Empty, Events: []eventstream.Event{taken}})
	require.NoError(t, err)
}

// A bad call in a batch hurts nobody else: every call gets what it gets where each commits by itself, the same result, or the same error
// in the same words.
func TestGroupRefusalsHurtNobodyElse(t *testing.T) {
	t.Parallel()
	first := anEvent(t, 1, eventstream.WithTenant("a"))
	taken, second := anEvent(t, 1), anEvent(t, 2)
	calls := attempts(t, taken)

	alone, b := setup(t), setup(t, withMaxConns(24))
	stage(t, alone, first, taken)
	stage(t, b, first, taken)
	requireSameInOneBatch(t, alone, b, second, calls)
}

// requireSameInOneBatch demands that calls, gathered into one batch in b behind an append of before, get what each gets in alone, where it
// commits by itself.
func requireSameInOneBatch(t *testing.T, alone, b *bundle, before eventstream.Event, calls []attempt) {
	t.Helper()
	off := groupRepo(t, alone, eventstream.Config{Group: eventstream.GroupConfig{Off: true}})
	_, err := off.Append(alone.ctx, hot, eventstream.Any, before)
	require.NoError(t, err)
	want := make([]string, len(calls))
	for i, c := range calls {
		result, err := c.run(alone, off)
		want[i] = outcomeOf(t, c, result, err)
	}

	s := sceneOn(t, b, eventstream.Config{}, before)
	done := make([]<-chan appended, len(calls))
	for i, c := range calls {
		done[i] = s.gather(func() (eventstream.AppendResult, error) { return c.run(b, s.repo) })
	}
	s.release()
	got := make([]string, len(calls))
	for i, c := range calls {
		result := <-done[i]
		got[i] = outcomeOf(t, c, result.value, result.err)
	}
	require.Equal(t, want, got)
	requireAuditClean(t, b)
	requireAuditClean(t, alone)
}

// outcomeOf puts a result into words, positions left out: what failed and was tried again has drawn some.
func outcomeOf(t *testing.T, c attempt, result eventstream.AppendResult, err error) string {
	t.Helper()
	if c.refused == nil && c.code == "" {
		require.NoError(t, err, c.name)
		return fmt.Sprintf("%s: versions %d..%d of %d, duplicate %t",
			c.name, result.FirstVersion, result.LastVersion, result.CurrentVersion, result.Duplicate)
	}
	if c.refused != nil {
		require.ErrorIs(t, err, c.refused, c.name)
	}
	if c.code != "" {
		requireSQLState(t, err, c.code)
	}
	require.Zero(t, result, c.name)
	return fmt.Sprintf("%s: %v, safe to retry %t", c.name, err, eventstream.SafeToRetry(err))
}

// A database may have rules of its own, as a trigger: what it refuses of one call is no reason to refuse the others.
func TestGroupRefusalByATriggerHurtsNobodyElse(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(24))
	execSQL(t, b.ctx, b.pool, `CREATE FUNCTION public.no_nines() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF NEW.payload ->> 'n' = '9' THEN
				RAISE EXCEPTION 'no nines';
			END IF;
			RETURN NEW;
		END $$`)
	execSQL(t, b.ctx, b.pool, `CREATE TRIGGER no_nines BEFORE INSERT ON eventstream.events
		FOR EACH ROW EXECUTE FUNCTION public.no_nines()`)
	given(t, b, hot, 1)
	s := sceneOn(t, b, eventstream.Config{}, anEvent(t, 2))
	insert := func(n int) <-chan appended { return s.gatherAppend(b.ctx, eventstream.Any, anEvent(t, n)) }
	good, bad := []<-chan appended{insert(1)}, []<-chan appended{insert(9)}
	good, bad = append(good, insert(2)), append(bad, insert(9))
	good = append(good, insert(3))
	s.release()
	for _, done := range bad {
		requireSQLState(t, (<-done).err, "P0001")
	}
	for i, done := range good {
		require.NoError(t, (<-done).err, "good call %d", i)
	}
	requireAuditClean(t, b)
}

// The first call of a batch for one stream is refused, and with it as many events as there may be: what is written are the events of the
// others, each under its own version, and not those of the refused.
func TestGroupFirstCallOfABatchIsRefused(t *testing.T) {
	t.Parallel()
	for _, events := range []int{1, 2, 3} {
		t.Run(fmt.Sprint(events), func(t *testing.T) {
			t.Parallel()
			s := newScene(t, eventstream.Config{})
			good := [][]eventstream.Event{someEvents(t, 2), someEvents(t, 3)}
			bad := s.gatherAppend(s.b.ctx, eventstream.Exact(99), someEvents(t, events)...)
			first := s.gatherAppend(s.b.ctx, eventstream.Any, good[0]...)
			missed := s.gatherAppend(s.b.ctx, eventstream.Empty, someEvents(t, events)...)
			second := s.gatherAppend(s.b.ctx, eventstream.Exact(4), good[1]...)
			s.release()
			require.ErrorIs(t, (<-bad).err, eventstream.ErrVersionConflict)
			require.ErrorIs(t, (<-missed).err, eventstream.ErrVersionConflict)
			require.Equal(t, appended{value: eventstream.AppendResult{
				FirstVersion: 3, LastVersion: 4, LastPosition: 4, CurrentVersion: 4,
			}}, <-first)
			require.Equal(t, appended{value: eventstream.AppendResult{
				FirstVersion: 5, LastVersion: 7, LastPosition: 7, CurrentVersion: 7,
			}}, <-second)
			stored := readAll(t, s.b.repo.Read(s.b.ctx, hot, eventstream.ReadOptions{}))
			require.Equal(t, idsOf(append(good[0], good[1]...)), idsOf(stored[2:]))
			requireAuditClean(t, s.b)
		})
	}
}

// The same append twice at once, by two callers of a process whose calls become one batch: the second is a duplicate, as it is where each
// commits by itself, and no conflict with the first.
func TestGroupSameAppendTwiceAtOnce(t *testing.T) {
	t.Parallel()
	request := func(id eventstream.StreamID, expected eventstream.Expected) eventstream.AppendRequest {
		return eventstream.AppendRequest{StreamID: id, Expected: expected, Events: someEvents(t, 1)}
	}
	cases := map[string][]eventstream.AppendRequest{
		"any version":       {request(hot, eventstream.Any)},
		"an exact version":  {request(hot, eventstream.Exact(2))},
		"with a new stream": {request(hot, eventstream.Any), request("new-1", eventstream.Empty)},
	}
	for name, twin := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, eventstream.Config{})
			last := len(twin) - 1
			send := func() (eventstream.AppendResult, error) {
				results, err := s.repo.AppendMany(s.b.ctx, twin...)
				if err != nil {
					return eventstream.AppendResult{}, err
				}
				return results[last], nil
			}
			first, between, second := s.gather(send), s.gatherAppend(s.b.ctx, eventstream.Any, anEvent(t, 2)), s.gather(send)
			s.release()
			once, other, again := <-first, <-between, <-second
			require.NoError(t, once.err)
			require.NoError(t, other.err)
			require.NoError(t, again.err)
			require.False(t, once.value.Duplicate)
			require.True(t, again.value.Duplicate)
			require.Equal(t, once.value.LastVersion, again.value.LastVersion)
			requireAuditClean(t, s.b)
		})
	}
}
