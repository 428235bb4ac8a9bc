package integration_test

import (
	"bytes"
	"context"
	"regexp"
	"runtime/pprof"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// hot is the stream that a scene is about.
const hot = eventstream.StreamID("hot-1")

// appended is what an Append gave.
type appended = result[eventstream.AppendResult]

// scene is a repository with a group whose hot stream is held by somebody else. Calls for it gather behind the first one, so a test
// knows what the next batch is: all that gathered, in their order.
type scene struct {
	t      *testing.T
	b      *bundle
	repo   *eventstream.Repository
	holder *holder
	first  <-chan appended
	// gathered is how many calls wait in the group, in no batch.
	gathered int
}

// gated is what an event says that waits for the gate of a scene.
const gated = 77

// newScene makes the hot stream, holds it, and lets a first Append block on it.
func newScene(t *testing.T, config eventstream.Config) *scene {
	t.Helper()
	b := setup(t, withMaxConns(24))
	addGate(t, b)
	given(t, b, hot, 1)
	return sceneOn(t, b, config, anEvent(t, 2))
}

// sceneOn is a scene on a database that has the hot stream; first is what the call that blocks appends.
func sceneOn(t *testing.T, b *bundle, config eventstream.Config, first eventstream.Event) *scene {
	t.Helper()
	s := &scene{t: t, b: b, repo: groupRepo(t, b, config), holder: hold(t, b, hot)}
	s.first = s.append(b.ctx, hot, eventstream.Any, first)
	s.waitLocked(1)
	return s
}

// addGate makes gated events wait while somebody holds the advisory lock of that number.
func addGate(t *testing.T, b *bundle) {
	t.Helper()
	execSQL(t, b.ctx, b.pool, `CREATE FUNCTION public.gate() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM pg_advisory_xact_lock_shared(77);
			RETURN NEW;
		END $$`)
	execSQL(t, b.ctx, b.pool, `CREATE TRIGGER gate BEFORE INSERT ON eventstream.events
		FOR EACH ROW WHEN (NEW.payload ->> 'n' = '77') EXECUTE FUNCTION public.gate()`)
}

// groupRepo is a repository on the bundle's pool with a group as configured.
func groupRepo(t testing.TB, b *bundle, config eventstream.Config) *eventstream.Repository {
	t.Helper()
	repo, err := eventstream.NewRepository(b.pool, &config)
	require.NoError(t, err)
	return repo
}

// call starts a call that gather can see.
func (s *scene) call(f func() (eventstream.AppendResult, error)) <-chan appended {
	var done <-chan appended
	pprof.Do(s.b.ctx, pprof.Labels("scene", s.t.Name()), func(context.Context) { done = start(f) })
	return done
}

func (s *scene) append(
	ctx context.Context, id eventstream.StreamID, expected eventstream.Expected, events ...eventstream.Event,
) <-chan appended {
	return s.call(func() (eventstream.AppendResult, error) { return s.repo.Append(ctx, id, expected, events...) })
}

// gather starts a call and returns once it waits in the group, behind those gathered before.
func (s *scene) gather(f func() (eventstream.AppendResult, error)) <-chan appended {
	s.t.Helper()
	done := s.call(f)
	s.gathered++
	s.waitGathered(s.gathered)
	return done
}

// gatherAppend is gather for an Append to the hot stream.
func (s *scene) gatherAppend(ctx context.Context, expected eventstream.Expected, events ...eventstream.Event) <-chan appended {
	s.t.Helper()
	return s.gather(func() (eventstream.AppendResult, error) { return s.repo.Append(ctx, hot, expected, events...) })
}

// release lets the hot stream go, and demands that the first call goes through.
func (s *scene) release() {
	s.t.Helper()
	s.holder.end(s.t, s.b)
	require.NoError(s.t, (<-s.first).err)
	s.gathered = 0
}

// releaseInto lets the first call through, and what gathered become a batch, which then waits in the database until the holder ends: one
// of its events is gated.
func (s *scene) releaseInto() *holder {
	s.t.Helper()
	next := newHolder(s.t, s.b)
	execSQL(s.t, s.b.ctx, next.tx, `SELECT pg_advisory_xact_lock(77)`)
	s.release()
	s.waitLocked(1)
	return next
}

// waitLocked returns when exactly n sessions of the database wait for locks.
func (s *scene) waitLocked(n int64) {
	s.t.Helper()
	var got int64
	waitFor(s.t, func() bool {
		got = number(s.t, s.b.ctx, s.b.pool, `SELECT count(*) FROM pg_catalog.pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`)
		return got == n
	}, func() string { return strconv.FormatInt(got, 10) + " sessions wait for locks\n" + sessionsOf(s.b) })
}

// waitGathered returns when exactly n of the scene's calls wait in the group for a batch to go with, or for what their batch gives.
// Only their stacks tell.
func (s *scene) waitGathered(n int) {
	s.t.Helper()
	var got int
	waitFor(s.t, func() bool {
		got = waitingCalls(s.t)
		return got == n
	}, func() string { return strconv.Itoa(got) + " calls wait in the group\n" + sessionsOf(s.b) })
}

// waitingCalls counts the goroutines of a test's calls that are in a wait of the group itself.
func waitingCalls(t *testing.T) (count int) {
	var profile bytes.Buffer
	require.NoError(t, pprof.Lookup("goroutine").WriteTo(&profile, 1))
	top := regexp.MustCompile(`^(\d+) @ [^\n]*\n# labels: [^\n]*"scene":"` + regexp.QuoteMeta(t.Name()) +
		`"[^\n]*\n#\t0x[0-9a-f]+\t\S*groupcommit\.\(\*Group\[\S*\]\)\.wait`)
	_, stacks, _ := strings.Cut(profile.String(), "\n")
	for _, stack := range strings.Split(stacks, "\n\n") {
		if m := top.FindStringSubmatch(strings.TrimSpace(stack)); m != nil {
			n, err := strconv.Atoi(m[1])
			require.NoError(t, err)
			count += n
		}
	}
	return count
}

// waitFor returns when a condition holds, and fails the test with what is instead if it never does.
func waitFor(t testing.TB, holds func() bool, instead func() string) {
	t.Helper()
	end := time.Now().Add(blockTimeout)
	for delay := time.Millisecond; !holds(); delay = min(2*delay, 20*time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited for %v: %s", blockTimeout, instead())
		}
		time.Sleep(delay)
	}
}

// holder is a session that holds streams, as a long transaction of another program does.
type holder struct {
	conn *pgx.Conn
	tx   pgx.Tx
}

func newHolder(t *testing.T, b *bundle) *holder {
	t.Helper()
	conn := session(t, b)
	tx, err := conn.Begin(b.ctx)
	require.NoError(t, err)
	return &holder{conn: conn, tx: tx}
}

// hold holds streams that exist until end.
func hold(t *testing.T, b *bundle, ids ...eventstream.StreamID) *holder {
	t.Helper()
	h := newHolder(t, b)
	for _, id := range ids {
		require.NoError(t, h.lock(b.ctx, id))
	}
	return h
}

func (h *holder) lock(ctx context.Context, id eventstream.StreamID) error {
	_, err := h.tx.Exec(ctx, `SELECT eventstream.lock_stream($1)`, string(id))
	return err
}

func (h *holder) end(t *testing.T, b *bundle) {
	t.Helper()
	require.NoError(t, h.tx.Rollback(b.ctx))
}

// transactionsOf counts the transactions that the events of a stream came in.
func transactionsOf(t testing.TB, b *bundle, id eventstream.StreamID) int64 {
	t.Helper()
	return number(t, b.ctx, b.pool, `SELECT count(DISTINCT xmin::text) FROM eventstream.events WHERE stream_id = $1`, string(id))
}
