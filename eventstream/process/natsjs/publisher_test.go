package natsjs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/process/natsjs"
	"github.com/gaplesspg/gapless/eventstream/subscription"
	"github.com/gaplesspg/gapless/internal/leftout"
)

// natsServer is a server of a test's own.
type natsServer struct {
	program, dir, port string
	cmd                *exec.Cmd
}

func startNATS(t *testing.T) *natsServer {
	t.Helper()
	program, err := exec.LookPath("nats-server")
	if err != nil {
		leftout.Skip(t, errors.New("nats-server is not installed: apt-get install nats-server"))
	}
	s := &natsServer{program: program, dir: t.TempDir(), port: "-1"} // -1 lets the server choose
	s.start(t)
	t.Cleanup(s.stop)
	return s
}

// start returns once the server takes connections. It writes down where: a port that was found free here, by listening on it for a moment,
// may still be listened on by a child of another test between its fork and its exec.
func (s *natsServer) start(t *testing.T) {
	t.Helper()
	var log bytes.Buffer
	s.cmd = exec.Command(s.program, "-a", "127.0.0.1", "-p", s.port, "--ports_file_dir", s.dir, "-js", "-sd", s.dir)
	s.cmd.Stdout, s.cmd.Stderr = &log, &log
	require.NoError(t, s.cmd.Start())
	var at struct{ NATS []string }
	if !assert.Eventually(t, func() bool {
		text, err := os.ReadFile(filepath.Join(s.dir, fmt.Sprintf("%s_%d.ports", filepath.Base(s.program), s.cmd.Process.Pid)))
		return err == nil && json.Unmarshal(text, &at) == nil
	}, 30*time.Second, 10*time.Millisecond) {
		s.stop()
		t.Fatal(log.String())
	}
	require.Len(t, at.NATS, 1)
	address, err := url.Parse(at.NATS[0])
	require.NoError(t, err)
	s.port = address.Port()
}

func (s *natsServer) stop() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// connect also makes the stream that takes all events.
func connect(t *testing.T, s *natsServer) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	conn, err := nats.Connect("nats://127.0.0.1:"+s.port, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err = js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "EVENTS", Subjects: []string{"events.>"}})
		return err == nil
	}, 30*time.Second, 20*time.Millisecond)
	return conn, js
}

func publisherOn(t *testing.T, conn *nats.Conn, config *natsjs.Config) *natsjs.Publisher {
	t.Helper()
	p, err := natsjs.New(conn, config)
	require.NoError(t, err)
	return p
}

func someEvents(t *testing.T, stream eventstream.StreamID, count int) []eventstream.LogEvent {
	t.Helper()
	all := make([]eventstream.LogEvent, count)
	for i := range all {
		e, err := eventstream.NewEvent("order.placed", map[string]int{"n": i})
		require.NoError(t, err)
		e.StreamID, e.Version, e.Position = stream, int64(i+1), int64(i+1)
		all[i] = eventstream.LogEvent{Event: e, Sequence: int64(i + 1), PartitionSequence: int64(i + 1)}
	}
	return all
}

// stored is what the stream holds, in order.
func stored(t *testing.T, js jetstream.JetStream) []*jetstream.RawStreamMsg {
	t.Helper()
	stream, err := js.Stream(t.Context(), "EVENTS")
	require.NoError(t, err)
	info, err := stream.Info(t.Context())
	require.NoError(t, err)
	var all []*jetstream.RawStreamMsg
	for n := info.State.FirstSeq; n >= 1 && n <= info.State.LastSeq; n++ {
		message, err := stream.GetMsg(t.Context(), n)
		require.NoError(t, err)
		all = append(all, message)
	}
	return all
}

// Each event becomes one message, in order, with its id; what comes again is dropped.
func TestPublisherStoresEachEventOnceInOrder(t *testing.T) {
	t.Parallel()
	conn, js := connect(t, startNATS(t))
	p := publisherOn(t, conn, nil)
	events := someEvents(t, "order-1", 20)
	for _, from := range []int{0, 0, 7} { // again, as after a crash
		accepted, err := p.Publish(t.Context(), events[from:])
		require.NoError(t, err)
		require.Equal(t, 20-from, accepted)
	}
	messages := stored(t, js)
	require.Len(t, messages, 20)
	for i, message := range messages {
		require.Equal(t, events[i].ID.String(), message.Header.Get("Nats-Msg-Id"))
		require.Equal(t, "order-1", message.Header.Get(natsjs.HeaderStream))
		require.Equal(t, fmt.Sprint(i+1), message.Header.Get(natsjs.HeaderVersion))
		require.Equal(t, "events.order.order.placed", message.Subject)
		var got eventstream.LogEvent
		require.NoError(t, json.Unmarshal(message.Data, &got))
		require.Equal(t, events[i], got)
	}
}

// While the server is away nothing counts against an event; once it is back, what was accepted and what comes again make each event once.
func TestPublisherWhileTheServerIsAway(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	conn, js := connect(t, server)
	p := publisherOn(t, conn, &natsjs.Config{Timeout: 300 * time.Millisecond})
	events := someEvents(t, "order-1", 10)
	accepted, err := p.Publish(t.Context(), events[:5])
	require.NoError(t, err)
	require.Equal(t, 5, accepted)
	server.stop()
	_, err = p.Publish(t.Context(), events[5:])
	require.Error(t, err)
	require.Equal(t, subscription.Judgement{}, subscription.JudgeError(err, false), err)
	server.start(t)
	require.Eventually(t, func() bool {
		_, err = p.Publish(t.Context(), events[3:])
		return err == nil
	}, 30*time.Second, 20*time.Millisecond)
	messages := stored(t, js)
	require.Len(t, messages, 10)
	for i, message := range messages {
		require.Equal(t, events[i].ID.String(), message.Header.Get("Nats-Msg-Id"))
	}
}

// What is refused: a message that is too large, for good; no stream for a subject, until there is one. What came before it is accepted.
func TestPublisherRefusals(t *testing.T) {
	t.Parallel()
	conn, js := connect(t, startNATS(t))
	events := someEvents(t, "order-1", 3)
	large, err := eventstream.NewEvent("order.placed", strings.Repeat("x", 2<<20))
	require.NoError(t, err)
	large.StreamID, large.Version, large.Position = "order-1", 4, 4
	events[1].Event = large
	accepted, err := publisherOn(t, conn, nil).Publish(t.Context(), events)
	require.Equal(t, 1, accepted)
	require.Equal(t, subscription.Judgement{Permanent: true, Counts: true}, subscription.JudgeError(err, false), err)
	require.Len(t, stored(t, js), 1)

	elsewhere := &natsjs.Config{Subject: func(eventstream.LogEvent) string { return "nobody.listens" }}
	accepted, err = publisherOn(t, conn, elsewhere).Publish(t.Context(), events[:1])
	require.Zero(t, accepted)
	require.Equal(t, subscription.Judgement{}, subscription.JudgeError(err, false), err)

	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	accepted, err = publisherOn(t, conn, nil).Publish(canceled, events)
	require.Zero(t, accepted)
	require.ErrorIs(t, err, context.Canceled)

	_, err = natsjs.New(nil, nil)
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	_, err = natsjs.New(conn, &natsjs.Config{Timeout: -1})
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
}

// A subject is made of what may stand in one.
func TestSubjectOf(t *testing.T) {
	t.Parallel()
	for want, of := range map[string][2]string{
		"events.order.order.placed":   {"order-1", "order.placed"},
		"events.order.placed_at_noon": {"order", "placed at noon"},
		"events.a_b.x__":              {"a.b-7", "x*>"},
	} {
		e := eventstream.LogEvent{Event: eventstream.Event{StreamID: eventstream.StreamID(of[0]), Type: eventstream.EventType(of[1])}}
		require.Equal(t, want, natsjs.SubjectOf(e))
	}
}
