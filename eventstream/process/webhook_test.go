package process_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/process"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// receiver is another system: it verifies what comes, and answers as it is told.
type receiver struct {
	*httptest.Server
	mu sync.Mutex
	// answers are given in turn, the last one from then on.
	answers []http.HandlerFunc
	ids     []string
	bodies  [][]byte
	errs    []error
}

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, "because")
	}
}

func newReceiver(t *testing.T, secret string, answers ...http.HandlerFunc) *receiver {
	t.Helper()
	verifier, err := process.NewWebhookVerifier(secret)
	require.NoError(t, err)
	r := &receiver{answers: answers}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		body, id, err := verifier.Request(request)
		r.ids, r.bodies, r.errs = append(r.ids, id), append(r.bodies, body), append(r.errs, err)
		answer := r.answers[0]
		if len(r.answers) > 1 {
			r.answers = r.answers[1:]
		}
		answer(w, request)
	}))
	t.Cleanup(r.Close)
	return r
}

func events(t *testing.T, count int) []eventstream.LogEvent {
	t.Helper()
	all := make([]eventstream.LogEvent, count)
	for i := range all {
		e, err := eventstream.NewEvent("order.placed", map[string]int{"n": i})
		require.NoError(t, err)
		e.StreamID, e.Version, e.Position = "order-1", int64(i+1), int64(i+1)
		all[i] = eventstream.LogEvent{Event: e, Sequence: int64(i + 1), PartitionSequence: int64(i + 1)}
	}
	return all
}

func webhookTo(t *testing.T, r *receiver, secret string, config *process.WebhookConfig) *process.Webhook {
	t.Helper()
	w, err := process.NewWebhook(r.URL, secret, config)
	require.NoError(t, err)
	return w
}

// Each event is posted by itself, in order, signed, with its id; a receiver in Go reads it as it was.
func TestWebhookPostsSignedEvents(t *testing.T) {
	t.Parallel()
	secret := process.NewWebhookSecret()
	r := newReceiver(t, secret, status(http.StatusNoContent))
	sent := events(t, 3)
	accepted, err := webhookTo(t, r, secret, nil).Publish(t.Context(), sent)
	require.NoError(t, err)
	require.Equal(t, 3, accepted)
	for i, body := range r.bodies {
		require.NoError(t, r.errs[i])
		require.Equal(t, sent[i].ID.String(), r.ids[i])
		var got eventstream.LogEvent
		require.NoError(t, json.Unmarshal(body, &got))
		require.Equal(t, sent[i], got)
	}
}

// What was accepted counts, and nothing is sent behind an event that was not.
func TestWebhookStopsAtWhatIsNotAccepted(t *testing.T) {
	t.Parallel()
	secret := process.NewWebhookSecret()
	r := newReceiver(t, secret, status(200), status(500), status(200))
	accepted, err := webhookTo(t, r, secret, nil).Publish(t.Context(), events(t, 4))
	require.Equal(t, 1, accepted)
	var refused *process.WebhookError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 500, refused.Status)
	require.Equal(t, "because", refused.Answer)
	require.Len(t, r.ids, 2)

	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	accepted, err = webhookTo(t, r, secret, nil).Publish(canceled, events(t, 4))
	require.Zero(t, accepted)
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, r.ids, 2)
}

// What an answer means: the table of JudgeStatus, and what becomes of it in a subscription.
func TestWebhookAnswers(t *testing.T) {
	t.Parallel()
	secret := process.NewWebhookSecret()
	for _, c := range []struct {
		verdict process.Verdict
		codes   []int
		want    subscription.Judgement
	}{
		{process.Accepted, []int{200, 201, 202, 204, 299}, subscription.Judgement{}},
		{process.Refused, []int{400, 406, 409, 411, 413, 414, 415, 422, 431}, subscription.Judgement{Permanent: true, Counts: true}},
		{process.Unavailable, []int{
			301, 302, 307, 308, 401, 402, 403, 404, 405, 407, 408, 410, 421, 425, 426, 429, 451, 502, 503, 504, 511,
		}, subscription.Judgement{}},
		{process.Failed, []int{412, 416, 417, 418, 424, 428, 499, 500, 501, 505, 507, 508, 510, 599}, subscription.Judgement{Counts: true}},
	} {
		for _, code := range c.codes {
			require.Equal(t, c.verdict, process.JudgeStatus(code), code)
			r := newReceiver(t, secret, status(code, "Location", "/elsewhere"))
			accepted, err := webhookTo(t, r, secret, nil).Publish(t.Context(), events(t, 1))
			require.Len(t, r.ids, 1, "a redirect is not followed: %d", code)
			if c.verdict == process.Accepted {
				require.NoError(t, err)
				require.Equal(t, 1, accepted)
				continue
			}
			require.Zero(t, accepted)
			require.Equal(t, c.want, subscription.JudgeError(err, false), code)
		}
	}
}

// The pause that a receiver asks for, in seconds or until a time by its own clock, is kept, up to a bound.
func TestWebhookRetryAfter(t *testing.T) {
	t.Parallel()
	secret := process.NewWebhookSecret()
	// Its clock is a day behind.
	theirs := time.Now().Add(-24 * time.Hour)
	at := func(d time.Duration) string { return theirs.Add(d).UTC().Format(http.TimeFormat) }
	for _, c := range []struct {
		header []string
		want   time.Duration
	}{
		{[]string{"Retry-After", "7"}, 7 * time.Second},
		{[]string{"Retry-After", at(90 * time.Second), "Date", at(0)}, 90 * time.Second},
		{[]string{"Retry-After", at(-time.Minute), "Date", at(0)}, 0},
		{[]string{"Retry-After", "99999"}, time.Hour},
		{[]string{"Retry-After", "soon"}, 0},
		{[]string{"Retry-After", "-5"}, 0},
		{nil, 0},
	} {
		r := newReceiver(t, secret, status(http.StatusServiceUnavailable, c.header...))
		_, err := webhookTo(t, r, secret, nil).Publish(t.Context(), events(t, 1))
		require.Equal(t, subscription.Judgement{After: c.want}, subscription.JudgeError(err, false), c.header)
	}
	nobody := newReceiver(t, secret, status(200))
	nobody.Close()
	_, err := webhookTo(t, nobody, secret, nil).Publish(t.Context(), events(t, 1))
	require.Error(t, err)
	require.Equal(t, subscription.Judgement{}, subscription.JudgeError(err, false), "nobody is there: not the event's fault")
}

// The signature is that of Standard Webhooks: this is the example that its libraries are tested with.
func TestWebhookSignatureIsTheStandards(t *testing.T) {
	t.Parallel()
	verifier, err := process.NewWebhookVerifier("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	require.NoError(t, err)
	verifier.Tolerance = 200 * 365 * 24 * time.Hour
	header := http.Header{}
	header.Set("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
	header.Set("webhook-timestamp", "1614265330")
	header.Set("webhook-signature", "v0,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
	id, err := verifier.Verify(header, []byte(`{"test": 2432232314}`))
	require.NoError(t, err)
	require.Equal(t, "msg_p5jXN8AQM9LWM0D4loKWxJek", id)
	verifier.Tolerance = 5 * time.Minute
	_, err = verifier.Verify(header, []byte(`{"test": 2432232314}`))
	require.ErrorIs(t, err, process.ErrTimestamp)
}

// A request that was changed in any part, or signed by somebody else, is not believed. While secrets change, both are.
func TestWebhookVerifierBelievesNothingElse(t *testing.T) {
	t.Parallel()
	before, after := process.NewWebhookSecret(), process.NewWebhookSecret()
	var got *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = r.Clone(context.Background())
		got.Header.Set("Test-Body", string(body))
	}))
	defer server.Close()
	w, err := process.NewWebhook(server.URL, after, &process.WebhookConfig{OldSecrets: []string{before}, Header: http.Header{"authorization": {"Bearer x"}}})
	require.NoError(t, err)
	_, err = w.Publish(t.Context(), events(t, 1))
	require.NoError(t, err)
	require.Equal(t, "Bearer x", got.Header.Get("Authorization"))
	body := got.Header.Get("Test-Body")
	for _, secret := range []string{before, after} {
		v, err := process.NewWebhookVerifier(secret)
		require.NoError(t, err)
		_, err = v.Verify(got.Header, []byte(body))
		require.NoError(t, err)
		_, err = v.Verify(got.Header, []byte(body+" "))
		require.ErrorIs(t, err, process.ErrSignature)
		for _, name := range []string{"webhook-id", "webhook-timestamp", "webhook-signature"} {
			for _, value := range []string{"", "1", "1" + got.Header.Get(name)[:9]} {
				changed := got.Header.Clone()
				changed.Set(name, value)
				_, err := v.Verify(changed, []byte(body))
				require.ErrorIs(t, err, process.ErrSignature, "%s: %s", name, value)
			}
		}
	}
	stranger, err := process.NewWebhookVerifier(process.NewWebhookSecret())
	require.NoError(t, err)
	_, err = stranger.Verify(got.Header, []byte(body))
	require.ErrorIs(t, err, process.ErrSignature)
}

func TestWebhookMisuse(t *testing.T) {
	t.Parallel()
	secret := process.NewWebhookSecret()
	for _, url := range []string{"", "example.org/x", "ftp://example.org", "https://", ":"} {
		_, err := process.NewWebhook(url, secret, nil)
		require.ErrorIs(t, err, eventstream.ErrInvalidValue, url)
	}
	for _, wrong := range []string{"", "whsec_", "secret", "whsec_c2hvcnQ=", secret[6:]} {
		_, err := process.NewWebhook("https://example.org", wrong, nil)
		require.ErrorIs(t, err, eventstream.ErrInvalidValue)
		if len(wrong) > len("whsec_") {
			require.NotContains(t, err.Error(), wrong, "an error ends up in logs")
		}
		_, err = process.NewWebhookVerifier(wrong)
		require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	}
	_, err := process.NewWebhookVerifier()
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	_, err = process.NewWebhook("https://example.org", secret, &process.WebhookConfig{MaxRetryAfter: time.Millisecond})
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	v, err := process.NewWebhookVerifier(secret)
	require.NoError(t, err)
	v.MaxBody = 3
	_, _, err = v.Request(httptest.NewRequest(http.MethodPost, "/", &endless{}))
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	require.False(t, errors.Is(err, process.ErrSignature))
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
