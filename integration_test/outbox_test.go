package integration_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/process"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// publisherFunc is a Publisher of a test.
type publisherFunc func(ctx context.Context, events []eventstream.LogEvent) (int, error)

func (f publisherFunc) Publish(ctx context.Context, events []eventstream.LogEvent) (int, error) {
	return f(ctx, events)
}

// What the other system has accepted does not come again because it refused a later event; what it refused comes alone.
func TestOutboxPartialSuccessIsAcknowledged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 10)
	refused := errors.New("not this one")
	var mu sync.Mutex
	var accepted []int64
	tries := 0
	to := publisherFunc(func(_ context.Context, events []eventstream.LogEvent) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		for i, e := range events {
			if e.Version == 5 && tries < 2 {
				tries++
				return i, refused
			}
			accepted = append(accepted, e.Version)
		}
		return len(events), nil
	})
	s, err := process.NewOutbox(b.repo, "outbox", to, &subscription.Config{MinBackoff: time.Millisecond, Observer: logTroubles(t)})
	require.NoError(t, err)
	stop := keepRunning(t, b, s)
	awaitCheckpoint(t, b, s)
	stop()
	require.Equal(t, []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, accepted)
}

// A publisher that says something impossible has failed, and is not believed.
func TestOutboxImpossibleCounts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 1)
	for name, n := range map[string]int{"too-many": 2, "too-few": -1} {
		to := publisherFunc(func(context.Context, []eventstream.LogEvent) (int, error) { return n, nil })
		s, err := process.NewOutbox(b.repo, name, to, &subscription.Config{MinBackoff: time.Millisecond, MaxTries: 2, Observer: logTroubles(t)})
		require.NoError(t, err)
		var failed *subscription.HandlerError
		require.ErrorAs(t, run1(t, b, s).wait(t, b), &failed)
		require.ErrorContains(t, failed, "accepted")
	}
	_, err := process.NewOutbox(b.repo, "outbox", nil, nil)
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	_, err = process.NewOutbox(b.repo, "outbox", (*process.Webhook)(nil), nil)
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
}

// A receiver that is down for a while, loses answers and refuses an event for good: each stream arrives in order, every event at least once,
// known by its id, and the one that is refused is parked with what follows it in its stream.
func TestOutboxWebhookThroughTroubles(t *testing.T) {
	t.Parallel()
	b := setup(t)
	secret := process.NewWebhookSecret()
	verifier, err := process.NewWebhookVerifier(secret)
	require.NoError(t, err)
	rounds(t, b, 5, "a-1", "b-1", "c-1")
	bad := positionOf(t, b, "b-1", 3)
	var mu sync.Mutex
	var arrived []string
	seen, requests := map[string]bool{}, 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		requests++
		body, id, err := verifier.Request(r)
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var event eventstream.LogEvent
		switch err := event.UnmarshalJSON(body); {
		case err != nil || event.Position == bad:
			w.WriteHeader(http.StatusUnprocessableEntity)
		case requests%4 == 0: // down
			w.WriteHeader(http.StatusServiceUnavailable)
		case !seen[id]:
			seen[id] = true
			arrived = append(arrived, string(event.StreamID)+"@"+event.ID.String())
			if requests%3 == 0 { // it has the event, but its answer says otherwise
				w.WriteHeader(http.StatusBadGateway)
			}
		}
	}))
	t.Cleanup(server.Close)
	hook, err := process.NewWebhook(server.URL, secret, nil)
	require.NoError(t, err)
	s, err := process.NewOutbox(b.repo, "webhook", hook, &subscription.Config{
		OnFailure: subscription.ParkStream, MinBackoff: time.Millisecond, MaxBackoff: 5 * time.Millisecond, Observer: logTroubles(t),
	})
	require.NoError(t, err)
	stop := keepRunning(t, b, s)
	awaitCheckpoint(t, b, s)
	stop()
	mu.Lock()
	defer mu.Unlock()
	for stream, want := range map[string]int{"a-1": 5, "b-1": 2, "c-1": 5} {
		var got, sent []string
		for _, at := range arrived {
			if at[:3] == stream {
				got = append(got, at[4:])
			}
		}
		for _, e := range readAll(t, b.repo.Read(b.ctx, eventstream.StreamID(stream), eventstream.ReadOptions{}))[:want] {
			sent = append(sent, e.ID.String())
		}
		require.Equal(t, sent, got, stream)
	}
	require.Equal(t, []int64{bad, positionOf(t, b, "b-1", 4), positionOf(t, b, "b-1", 5)}, parkedPositions(t, b, "webhook"))
}

// processRights are what docs/design.md says that a role needs, besides what a subscriber and a service have, for processes and timers.
const processRights = `
GRANT EXECUTE ON FUNCTION eventstream.append_batch, eventstream.append_event TO subscriber;
GRANT EXECUTE ON FUNCTION eventstream.set_timer, eventstream.cancel_timers, eventstream.take_timers, eventstream.fail_timer TO subscriber;
GRANT EXECUTE ON FUNCTION eventstream.lock_process_states, eventstream.save_process_states TO subscriber`

// With the rights that the design names a role runs a process; a subscriber without them cannot, and neither can read alone set a timer.
func TestAProcessNeedsTheRightsThatTheDesignNames(t *testing.T) {
	t.Parallel()
	b := setup(t)
	role := newRole(t, b)
	grant := func(rights string) {
		for _, sql := range strings.SplitAfter(strings.ReplaceAll(rights, "TO subscriber", "TO "+role), ";") {
			execSQL(t, b.ctx, b.pool, sql)
		}
	}
	grant(subscriberRights)
	repo := asRole(t, b, role)
	require.ErrorContains(t, process.After(b.ctx, repo, reminder("a"), time.Hour, nil), "permission denied")
	_, err := process.Cancel(b.ctx, repo, reminder("a"))
	require.ErrorContains(t, err, "permission denied")
	_, err = process.Retry(b.ctx, repo, reminder("a"))
	require.ErrorContains(t, err, "permission denied")

	grant(processRights)
	own := *b
	own.repo = repo
	m := newManager(t, &own, shipping(t))
	stop := keepRunning(t, &own, m)
	add(t, b, "order-1", "order.item-added")
	awaitCheckpoint(t, b, m.Subscription)
	shiftClock(t, b, 61*time.Minute)
	awaitSQL(t, b, "1", `SELECT count(*)::text FROM eventstream.events WHERE type = 'parcel.overdue'`)
	add(t, b, "order-1", "order.paid")
	awaitCheckpoint(t, b, m.Subscription)
	stop()
	require.EqualValues(t, 1, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events WHERE type = 'parcel.shipped'`))
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.timers`))
}
