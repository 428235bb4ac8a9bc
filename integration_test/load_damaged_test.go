package integration_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// brokenIndex is a database in which the events of a stream cannot be found, though its last one can: as with an index that is damaged. It
// finds them again after a number of queries.
type brokenIndex struct {
	eventstream.Handle
	misses int
	asked  int
}

func (h *brokenIndex) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if strings.Contains(sql, "-- name: EventListWithHead") {
		if h.asked++; h.asked <= h.misses {
			args = []any{"nothing-1"}
		}
	}
	return h.Handle.Query(ctx, sql, args...)
}

// Load of a stream whose events cannot be found ends with an error that says what is missing; one whose first event arrives between its
// queries is found.
func TestLoadOfDamagedDataEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 3)
	for name, load := range map[string]func(*eventstream.Repository) (*eventstream.EventStream, error){
		"Load": func(r *eventstream.Repository) (*eventstream.EventStream, error) { return r.Load(b.ctx, "order-1") },
		"GetOrCreate": func(r *eventstream.Repository) (*eventstream.EventStream, error) {
			return r.GetOrCreate(b.ctx, "order-1")
		},
	} {
		damaged := &brokenIndex{Handle: b.pool, misses: 1000}
		_, err := load(repoOn(t, damaged))
		var refused *eventstream.ReconstructError
		require.ErrorAs(t, err, &refused, name)
		require.Equal(t, 2, damaged.asked, name)

		late := &brokenIndex{Handle: b.pool, misses: 1}
		stream, err := load(repoOn(t, late))
		require.NoError(t, err, name)
		require.Equal(t, int64(3), stream.CurrentVersion(), name)
	}
}

// Whatever was removed from a stream past the rules, Load ends with an error, and Read gives what is there.
func TestLoadOfAStreamWithAHole(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string]string{
		"the first": "version = 1", "one in the middle": "version = 3", "all but the last": "version < 5",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			given(t, b, "order-1", 5)
			require.NoError(t, simpleErr(b.ctx, session(t, b), `BEGIN; SET LOCAL session_replication_role = replica;
				DELETE FROM eventstream.events WHERE `+gone+`; COMMIT`))
			_, err := b.repo.Load(b.ctx, "order-1")
			var refused *eventstream.ReconstructError
			require.ErrorAs(t, err, &refused)
			require.NotEmpty(t, readAll(t, b.repo.Read(b.ctx, "order-1", eventstream.ReadOptions{})))
		})
	}
}
