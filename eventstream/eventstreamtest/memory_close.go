package eventstreamtest

import (
	"context"
	"strings"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/invalid"
)

// CloseStream is Repository.CloseStream.
func (m *Memory) CloseStream(ctx context.Context, id eventstream.StreamID, expected eventstream.Expected, reason string) (int64, error) {
	if _, err := versionOf(expected); err != nil {
		return 0, err
	}
	if err := id.Validate(); err != nil {
		return 0, err
	}
	if strings.TrimSpace(reason) == "" {
		return 0, invalid.Value("reason", reason, "text that says why: it stays on record")
	}
	closing, err := eventstream.NewEvent(string(eventstream.ClosedType), map[string]string{"reason": reason})
	if err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.streams[id]; s != nil && s.closed() {
		return int64(len(s.events)), nil // as it is: whoever closes twice means the same
	}
	request := eventstream.AppendRequest{StreamID: id, Expected: expected, Events: []eventstream.Event{closing}}
	results, refused, err := m.appendLocked([]eventstream.AppendRequest{request})
	switch {
	case err != nil:
		return 0, err
	case refused != nil:
		return 0, refused[0].Err
	}
	return results[0].LastVersion, nil
}

func (s *stream) closed() bool { return s.events[len(s.events)-1].Type == eventstream.ClosedType }
