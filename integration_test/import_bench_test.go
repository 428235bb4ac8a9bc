package integration_test

import (
	"fmt"
	"iter"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// benchHistory is 100,000 events in streams of ten.
var benchHistory = history{events: 100_000, perStream: 10, numbered: true}

// BenchmarkImport sets an Import beside what it cannot beat: pgx's CopyFrom into a table with the same columns and indexes, and
// no rules. Both make their events as they go.
func BenchmarkImport(b *testing.B) {
	b.Run("bare", func(b *testing.B) {
		benchImport(b, func(t *bundle) error {
			_, err := t.pool.Exec(t.ctx, `
				CREATE TABLE public.bare (LIKE eventstream.events INCLUDING DEFAULTS INCLUDING IDENTITY INCLUDING INDEXES)`)
			require.NoError(b, err)
			b.ResetTimer()
			return copyBare(t)
		})
	})
	b.Run("gapless", func(b *testing.B) {
		benchImport(b, func(t *bundle) error {
			b.ResetTimer()
			result, err := t.repo.Import(t.ctx, benchHistory.all())
			require.Equal(b, int64(benchHistory.events), result.Imported)
			return err
		})
	})
	b.Run("resume", func(b *testing.B) {
		benchImport(b, func(t *bundle) error {
			_, err := t.repo.Import(t.ctx, benchHistory.all())
			require.NoError(b, err)
			b.ResetTimer()
			result, err := t.repo.Import(t.ctx, benchHistory.all())
			require.Equal(b, int64(benchHistory.events), result.Skipped)
			return err
		})
	})
}

// benchImport runs once, on a database of its own: the second run would skip what the first one wrote.
func benchImport(b *testing.B, run func(*bundle) error) {
	t := setup(b)
	b.ReportAllocs()
	require.NoError(b, run(t))
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(benchHistory.events), "µs/event")
}

func copyBare(t *bundle) error {
	next, stop := iter.Pull2(benchHistory.all())
	defer stop()
	columns := []string{
		"version", "event_id", "occurred_at", "partition_id", "stream_id", "tenant_id", "type", "payload", "data", "metadata",
	}
	copied, err := t.pool.CopyFrom(t.ctx, pgx.Identifier{"public", "bare"}, columns, pgx.CopyFromFunc(func() ([]any, error) {
		e, err, ok := next()
		if !ok || err != nil {
			return nil, err
		}
		partition, err := eventstream.PartitionOf(e.StreamID, eventstream.DefaultPartitionCount)
		return []any{
			e.Version, e.ID, e.OccurredAt, partition.ID, string(e.StreamID), "default", string(e.Type), []byte(e.Payload), nil, []byte("{}"),
		}, err
	}))
	if err == nil && copied != int64(benchHistory.events) {
		err = fmt.Errorf("%d events copied", copied)
	}
	return err
}
