package listing

import (
	"context"
	"crypto/md5"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/bench/internal/baseline"
	"github.com/gaplesspg/gapless/bench/internal/database"
	"github.com/gaplesspg/gapless/eventstream"
)

const (
	// tenants own the streams in turn; categories change once each tenant has had one.
	tenants = 100
	// fillLimit is how many streams one statement writes.
	fillLimit = 50_000
	// appended is how many streams get one more event after all were created, so that who changed last is not who was created last.
	appended = 1000

	fillStreams = `
INSERT INTO eventstream.events (stream_id, version, partition_id, tenant_id, type, payload)
SELECT s.stream_id, v.version, s.partition_id, s.tenant_id, '` + baseline.EventType + `', $4::jsonb
FROM (
    SELECT i.n, i.stream_id, i.tenant_id, eventstream.partition_of(i.stream_id, 32) AS partition_id
    FROM (
        SELECT n,
            ($5::text[])[1 + n / 100 % 10] || '-' || md5(n::text)::uuid AS stream_id,
            'tenant-' || n % 100 AS tenant_id
        FROM generate_series($1::integer, $2::integer) AS n
    ) AS i
    OFFSET 0
) AS s, generate_series(1, $3::integer) AS v (version)
ORDER BY v.version, s.n`
)

// categories are in byte order.
func categories() []string {
	return []string{"account", "basket", "cart", "delivery", "exchange", "folder", "group", "house", "invoice", "journal"}
}

// streamID gives the id of a number, as fillStreams does.
func streamID(n int) eventstream.StreamID {
	id := uuid.UUID(md5.Sum([]byte(strconv.Itoa(n))))
	return eventstream.StreamID(categories()[n/tenants%len(categories())] + "-" + id.String())
}

// fill builds the store.
func (b *benchmark) fill(ctx context.Context) error {
	start := time.Now()
	for first := 1; first <= b.streams; first += fillLimit {
		last := min(first+fillLimit-1, b.streams)
		if _, err := b.Gapless.Exec(ctx, fillStreams, first, last, b.events, baseline.Payload, categories()); err != nil {
			return err
		}
	}
	for range appended {
		events, err := baseline.NewEvents(1)
		if err != nil {
			return err
		}
		if _, err := b.Repo.Append(ctx, streamID(1+rand.N(b.streams)), eventstream.Exists, events...); err != nil {
			return err
		}
	}
	if err := b.number(ctx); err != nil {
		return err
	}
	if err := database.Vacuum(ctx, b.Gapless); err != nil {
		return err
	}
	fmt.Fprintf(b.log, "a store of %d streams (%.1f s)\n", b.streams, time.Since(start).Seconds())
	return nil
}

// number writes the marks of the log, as whoever polls does in a store that is used: totals are counted from the last of them.
func (b *benchmark) number(ctx context.Context) error {
	for {
		if _, err := b.Gapless.Exec(ctx, `SELECT eventstream.advance_stable_position()`); err != nil {
			return err
		}
		var done bool
		err := b.Gapless.QueryRow(ctx, `SELECT l.stable_position >= eventstream.stable_position() FROM eventstream.log_state AS l`).Scan(&done)
		if err != nil || done {
			return err
		}
	}
}
