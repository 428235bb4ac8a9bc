package baseline

import "context"

// The same events for both tables: streams $1 to $2, with $3 events each. Events of different streams are interleaved, as they arrive in
// life.
const (
	seedEvents = intoEvents + seed
	seedBare   = intoBare + seed
	seed       = `(stream_id, version, partition_id, event_id, type, payload, occurred_at)
SELECT s.stream_id, v.version, s.partition_id, eventstream.uuid_v7(), '` + EventType + `', $4::jsonb, clock_timestamp()
FROM (
    SELECT i.n, i.stream_id, eventstream.partition_of(i.stream_id, 32) AS partition_id
    FROM (SELECT n, 'order-' || md5(n::text)::uuid AS stream_id FROM generate_series($1::integer, $2::integer) AS n) AS i
    OFFSET 0
) AS s, generate_series(1, $3::integer) AS v (version)
ORDER BY v.version, s.n`
)

// Seed says which streams are written, and how: streams First to Last with Events each, in statements of at most Limit events.
type Seed struct {
	First, Last, Events, Limit int
}

// Fill writes them to eventstream.events, through the gate.
func (s Seed) Fill(ctx context.Context, on Handle) error { return s.fill(ctx, on, seedEvents) }

// FillBare writes them to bare.events.
func (s Seed) FillBare(ctx context.Context, on Handle) error { return s.fill(ctx, on, seedBare) }

func (s Seed) fill(ctx context.Context, on Handle, statement string) error {
	step := max(s.Limit/s.Events, 1)
	for first := s.First; first <= s.Last; first += step {
		if _, err := on.Exec(ctx, statement, first, min(first+step-1, s.Last), s.Events, Payload); err != nil {
			return err
		}
	}
	return nil
}
