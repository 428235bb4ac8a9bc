package integration_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// Without a group every Append commits by itself, and waits for a held stream in the database; so does each with inline projections,
// which are called in its transaction.
func TestGroupOffAndInlineShareNothing(t *testing.T) {
	t.Parallel()
	var projected atomic.Int64
	for name, config := range map[string]eventstream.Config{
		"Off": {Group: eventstream.GroupConfig{Off: true}},
		"Inline": {Inline: []eventstream.InlineProjection{func(_ context.Context, _ pgx.Tx, events []eventstream.Event) error {
			projected.Add(int64(len(events)))
			return nil
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, config)
			const calls = 5
			var waiting []<-chan appended
			for i := range calls {
				waiting = append(waiting, s.append(s.b.ctx, hot, eventstream.Any, someEvents(t, 2)...))
				s.waitLocked(int64(2 + i))
			}
			s.release()
			for _, done := range waiting {
				require.NoError(t, (<-done).err)
			}
			require.Equal(t, int64(2+calls), transactionsOf(t, s.b, hot))
			if name == "Inline" {
				require.Equal(t, int64(1+2*calls), projected.Load())
			}
			requireAuditClean(t, s.b)
		})
	}
}

// The bounds of a batch hold, and an append above them goes through, alone.
func TestGroupBoundsOfABatch(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config eventstream.GroupConfig
		// sizes are how many events the calls bring; want is in how many transactions these come.
		sizes []int
		want  int64
	}{
		"OneEvent":       {eventstream.GroupConfig{MaxEvents: 1}, []int{1, 1, 1, 1}, 4},
		"OneEventAbove":  {eventstream.GroupConfig{MaxEvents: 1}, []int{1, 3, 1}, 3},
		"Exact":          {eventstream.GroupConfig{MaxEvents: 4}, []int{2, 2, 1, 3, 4}, 3},
		"Above":          {eventstream.GroupConfig{MaxEvents: 4}, []int{2, 7, 1, 1}, 3},
		"OneByte":        {eventstream.GroupConfig{MaxBytes: 1}, []int{1, 2, 1}, 3},
		"Bytes":          {eventstream.GroupConfig{MaxBytes: 16}, []int{1, 1, 1, 1}, 2},
		"InFlight":       {eventstream.GroupConfig{InFlight: 1}, []int{1, 2, 3}, 1},
		"TheLargest":     {eventstream.GroupConfig{MaxEvents: 100_000, MaxBytes: 1 << 30, InFlight: 1000}, []int{1, 2, 3}, 1},
		"TheDefault":     {eventstream.GroupConfig{}, []int{600, 400, 1}, 2},
		"AboveByDefault": {eventstream.GroupConfig{}, []int{1, 1001, 1}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, eventstream.Config{Group: c.config})
			version := int64(2)
			waiting := make([]<-chan appended, len(c.sizes))
			for i, size := range c.sizes {
				waiting[i] = s.gatherAppend(s.b.ctx, eventstream.Exact(version), someEvents(t, size)...)
				version += int64(size)
			}
			s.release()
			for i, done := range waiting {
				require.NoError(t, (<-done).err, "call %d", i)
			}
			require.Equal(t, 2+c.want, transactionsOf(t, s.b, hot))
		})
	}
}

// A config out of bounds is refused, and the error names the field.
func TestGroupConfigOutOfBounds(t *testing.T) {
	t.Parallel()
	pool := setup(t).pool
	for field, configs := range map[string][]eventstream.GroupConfig{
		"Config.Group.MaxEvents": {{MaxEvents: -1}, {MaxEvents: eventstream.MaxEventsPerCall + 1}},
		"Config.Group.MaxBytes":  {{MaxBytes: -1}, {MaxBytes: 1<<30 + 1}},
		"Config.Group.InFlight":  {{InFlight: -1}, {InFlight: 1001}},
	} {
		for _, config := range configs {
			for _, off := range []bool{false, true} {
				config.Off = off
				_, err := eventstream.NewRepository(pool, &eventstream.Config{Group: config})
				var invalid *eventstream.InvalidValueError
				require.ErrorAs(t, err, &invalid)
				require.Equal(t, field, invalid.Field)
			}
		}
	}
}
