package integration_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/seal"
)

// Every event of many blocks is proven against the newest seal and against its own, by few seals, from JSON.
func TestSealsProveEachEvent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const events = 90
	for i := range events {
		_, err := b.repo.Append(b.ctx, "order-1", eventstream.Exact(int64(i)), eventOf(t, fmt.Sprintf(`{"n": %d}`, i+1)))
		require.NoError(t, err)
	}
	var own []seal.Kept
	for more := true; more; {
		kept, sealed, err := seal.Next(b.ctx, b.pool, 3)
		require.NoError(t, err)
		if more = sealed; sealed {
			own = append(own, kept)
		}
	}
	require.Len(t, own, events/3)
	for version := 1; version <= events; version++ {
		for _, kept := range []seal.Kept{own[len(own)-1], own[(version-1)/3]} {
			made, err := seal.Prove(b.ctx, b.pool, "order-1", int64(version), kept)
			require.NoError(t, err)
			text, err := json.Marshal(made)
			require.NoError(t, err)
			var proof seal.Proof
			require.NoError(t, json.Unmarshal(text, &proof))
			require.NoError(t, proof.Verify(kept))
			require.True(t, proof.Event.Holds([]byte(fmt.Sprintf(`{"n": %d}`, version)), nil, []byte("{}")))
			require.LessOrEqual(t, len(proof.Blocks), 15, "of 30: 5 bits, 5 * 6 / 2")
			require.LessOrEqual(t, len(proof.Path), 2)
		}
	}
	_, err := seal.Prove(b.ctx, b.pool, "order-1", 90, own[0])
	require.ErrorIs(t, err, seal.ErrNoSeal)
	_, err = seal.Prove(b.ctx, b.pool, "order-1", 91, own[0])
	require.ErrorIs(t, err, eventstream.ErrEventNotFound)
	tamper(t, b, `UPDATE eventstream.events SET type = 'b' WHERE version = 5`)
	_, err = seal.Prove(b.ctx, b.pool, "order-1", 5, own[29])
	require.ErrorIs(t, err, seal.ErrNotProven)
}

// A range of blocks is checked alone; with a kept seal, also that it leads there.
func TestSealsOfARangeOfBlocks(t *testing.T) {
	t.Parallel()
	b := sealedStore(t)
	tamper(t, b, `UPDATE eventstream.events SET type = 'b' WHERE position IN (2, 9)`)
	for _, c := range []struct {
		from, to int64
		want     int
	}{{0, 0, 2}, {1, 1, 1}, {2, 2, 0}, {2, 0, 1}, {3, 3, 1}, {1, 2, 1}, {4, 4, 1}, {4, 0, 0}} {
		got, err := seal.Verify(b.ctx, b.pool, &seal.Options{FromBlock: c.from, ToBlock: c.to})
		require.NoError(t, err)
		require.Len(t, got, c.want, c)
		var n int
		require.NoError(t, b.pool.QueryRow(b.ctx, `SELECT count(*) FROM eventstream.verify_seals($1, nullif($2::bigint, 0))`, c.from, c.to).Scan(&n))
		require.Equal(t, c.want, n, c)
	}
	kept, err := seal.Newest(b.ctx, b.pool)
	require.NoError(t, err)
	tamper(t, b, `UPDATE eventstream.seals SET sealed_at = now() WHERE block = 3`)
	got, err := seal.Verify(b.ctx, b.pool, &seal.Options{FromBlock: 2, ToBlock: 2, Kept: &kept})
	require.NoError(t, err)
	require.Len(t, got, 1, "the seals between are checked, not their events: %v", got)
	require.Equal(t, seal.SealChanged, got[0].Reason)
}

// Writers, of which a quarter roll back, and four that seal at the same time: each event is in one block, in order, and all are whole.
func TestHammerSeals(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(12))
	var writers, sealers sync.WaitGroup
	var stop atomic.Bool
	var appended atomic.Int64
	end := time.Now().Add(2 * time.Second)
	for w := range 6 {
		writers.Go(func() {
			for i := 0; i < 10 || time.Now().Before(end); i++ {
				tx, err := b.pool.Begin(b.ctx)
				if err != nil {
					t.Error(err)
					return
				}
				id := eventstream.StreamID(fmt.Sprintf("order-%d-%d", w, i))
				_, err = b.repo.WithTx(tx).Append(b.ctx, id, eventstream.Empty, eventstream.EventOf("a", i), eventstream.EventOf("b", i))
				if i%4 == 3 {
					_ = tx.Rollback(context.Background())
				} else if err = tx.Commit(b.ctx); err == nil {
					appended.Add(2)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 4 {
		sealers.Go(func() {
			for !stop.Load() {
				if _, _, err := seal.Next(b.ctx, b.pool, 7); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	stop.Store(true)
	sealers.Wait()
	for more := true; more; {
		var err error
		_, more, err = seal.Next(b.ctx, b.pool, 0)
		require.NoError(t, err)
	}
	kept, err := seal.Newest(b.ctx, b.pool)
	require.NoError(t, err)
	require.Equal(t, appended.Load(), kept.LastSequence, "every event that was committed is sealed")
	require.Empty(t, sealFaults(t, b, &kept))
}

// BenchmarkSeals measures how many events a second are sealed, and verified by the database and by Go: GAPLESS_TEST_SEALS=100000.
func BenchmarkSeals(b *testing.B) {
	events := 20000
	if text := os.Getenv("GAPLESS_TEST_SEALS"); text != "" {
		_, err := fmt.Sscan(text, &events)
		require.NoError(b, err)
	}
	s := setup(b)
	_, err := s.pool.Exec(s.ctx, `INSERT INTO eventstream.events (stream_id, version, type, payload, partition_id)
		SELECT 'order-' || g, 1, 'order.placed', jsonb_build_object('total', g, 'customer', 'c-' || g, 'items', '[1, 2, 3]'::jsonb), 0
		FROM generate_series(1, $1::integer) AS g`, events)
	require.NoError(b, err)
	for more := true; more; {
		_, more, err = seal.Next(s.ctx, s.pool, 0)
		require.NoError(b, err)
	}
	b.Run("sql", func(b *testing.B) {
		for range b.N {
			_, err := s.pool.Exec(s.ctx, `SELECT * FROM eventstream.verify_seals()`)
			require.NoError(b, err)
		}
	})
	b.Run("go", func(b *testing.B) {
		for range b.N {
			faults, err := seal.Verify(s.ctx, s.pool, nil)
			require.NoError(b, err)
			require.Empty(b, faults)
		}
	})
}
