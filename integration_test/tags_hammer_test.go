package integration_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gaplesspg/gapless/eventstream"
)

// tagHammer is what 32 writers do at once: decisions over few tags, in transactions of their own or not, some rolled back; and events with the
// same tags by every other way.
type tagHammer struct {
	b    *bundle
	t    *testing.T
	mu   sync.Mutex
	won  []uuid.UUID
	kind [6]atomic.Int64
}

const (
	tagWon = iota
	tagLost
	tagRolledBack
	tagWritten
	tagOvertaken
	tagDeadlocked
)

// randomTags are one to three of six.
func randomTags(random *rand.Rand) []string {
	tags := make([]string, 1+random.IntN(3))
	for i, n := range random.Perm(6)[:len(tags)] {
		tags[i] = fmt.Sprintf("course:%d", n)
	}
	return tags
}

func randomQuery(random *rand.Rand) eventstream.Query {
	query := make(eventstream.Query, 1+random.IntN(2))
	for i := range query {
		if random.IntN(8) == 0 {
			query[i].Types = []eventstream.EventType{"order.placed"}
			continue
		}
		query[i].Tags = randomTags(random)
	}
	return query
}

// decides reads, decides and appends, to two streams, once.
func (h *tagHammer) decides(ctx context.Context, random *rand.Rand) error {
	query := randomQuery(random)
	_, at, err := h.b.repo.ReadQuery(ctx, query, drawnBefore(h.b, 200))
	if err != nil {
		return err
	}
	first, second := tagged(h.t, randomTags(random)...), anEvent(h.t, 2)
	requests := []eventstream.AppendRequest{
		toStream(eventstream.StreamID(fmt.Sprintf("hot-%d", random.IntN(50))), first),
		toStream(eventstream.StreamID(fmt.Sprintf("mine-%d", random.IntN(1000))), second),
	}
	if random.IntN(4) > 0 {
		_, err = h.b.repo.AppendIf(ctx, query, at, requests...)
		return h.count(err, first.ID)
	}
	keep := random.IntN(2) == 0
	rolledBack := errors.New("rolled back")
	err = pgx.BeginFunc(ctx, h.b.pool, func(tx pgx.Tx) error {
		_, err := h.b.repo.WithTx(tx).AppendIf(ctx, query, at, requests...)
		if err == nil && !keep {
			return rolledBack
		}
		return err
	})
	if errors.Is(err, rolledBack) {
		h.kind[tagRolledBack].Add(1)
		return nil
	}
	return h.count(err, first.ID)
}

func (h *tagHammer) count(err error, id uuid.UUID) error {
	switch {
	case err == nil:
		h.kind[tagWon].Add(1)
		h.mu.Lock()
		h.won = append(h.won, id)
		h.mu.Unlock()
	case errors.Is(err, eventstream.ErrDecisionConflict):
		h.kind[tagLost].Add(1)
	default:
		return h.forgive(err)
	}
	return nil
}

// forgive counts what a writer by raw INSERT must expect.
func (h *tagHammer) forgive(err error) error {
	switch {
	case hasCode(err, "ES006"):
		h.kind[tagOvertaken].Add(1)
	case hasCode(err, "40P01"):
		h.kind[tagDeadlocked].Add(1)
	default:
		return err
	}
	return nil
}

// writes appends an event with tags by one of the other ways.
func (h *tagHammer) writes(ctx context.Context, random *rand.Rand) error {
	tags, id := randomTags(random), uuid.NewString()
	h.kind[tagWritten].Add(1)
	switch random.IntN(4) {
	case 0:
		_, err := h.b.repo.Append(ctx, eventstream.StreamID(fmt.Sprintf("hot-%d", random.IntN(50))), eventstream.Any, tagged(h.t, tags...))
		return err
	case 1:
		e := tagged(h.t, tags...)
		e.Version = 1
		_, err := h.b.repo.Ingest(ctx, eventstream.StreamID(id), e)
		return err
	case 2:
		return h.forgive(insertTagged(ctx, h.b.pool, id, "order.placed", tags...))
	}
	return h.forgive(copyTagged(ctx, h.b.pool, id, tags...))
}

// drawnBefore is a position some way back, so that reading stays cheap: what is before it does not matter to anybody here.
func drawnBefore(b *bundle, back int64) int64 {
	var last int64
	if b.pool.QueryRow(b.ctx, `SELECT eventstream.stable_position()`).Scan(&last) != nil {
		return 0
	}
	return max(last-back, 0)
}

// 32 writers over overlapping queries: whatever is accepted overlooks nothing, and is there.
func TestHammerDecisionsOverTags(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(34))
	h := &tagHammer{b: b, t: t}
	group, ctx := errgroup.WithContext(b.ctx)
	more := hammering(&h.kind[tagWon], &h.kind[tagLost])
	for caller := range 32 {
		group.Go(func() error {
			random := rand.New(rand.NewPCG(uint64(caller), 26))
			for more() {
				do := h.decides
				if random.IntN(4) == 0 {
					do = h.writes
				}
				if err := do(ctx, random); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	t.Logf("decisions: %d accepted, %d refused, %d rolled back; other writes: %d, of which %d overtaken and %d deadlocked",
		h.kind[tagWon].Load(), h.kind[tagLost].Load(), h.kind[tagRolledBack].Load(), h.kind[tagWritten].Load(),
		h.kind[tagOvertaken].Load(), h.kind[tagDeadlocked].Load())
	require.Positive(t, h.kind[tagWon].Load())
	require.Positive(t, h.kind[tagLost].Load())
	require.EqualValues(t, len(h.won), number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events WHERE event_id = ANY ($1)`, h.won))
	require.EqualValues(t, len(h.won), number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events WHERE metadata ? 'decided'`))
	requireDecisionsHold(t, b)
	requireAuditClean(t, b)
}

// A course of 10 seats and 32 students who all want one, each of whom may take 3 of 5 courses: neither rule is one stream's, and both hold.
func TestHammerSeatsOfCourses(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(34))
	const courses, seats, perStudent = 5, 10, 3
	group, ctx := errgroup.WithContext(b.ctx)
	for student := range 32 {
		group.Go(func() error {
			for course := range courses {
				if err := takeSeat(ctx, t, b.repo, fmt.Sprintf("student:%d", student), fmt.Sprintf("course:%d", course), seats, perStudent); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.Equal(t, []string{"10", "10", "10", "10", "10"}, texts(t, b, `SELECT count(*)::text FROM eventstream.events
		GROUP BY metadata -> 'tags' -> 0 ORDER BY metadata -> 'tags' -> 0`))
	require.LessOrEqual(t, number(t, b.ctx, b.pool, `SELECT max(c.taken) FROM (
		SELECT count(*) AS taken FROM eventstream.events GROUP BY metadata -> 'tags' -> 1) AS c`), int64(perStudent))
	requireDecisionsHold(t, b)
}

// takeSeat gives a student a seat, if the course and the student have room.
func takeSeat(ctx context.Context, t *testing.T, repo *eventstream.Repository, student, course string, seats, perStudent int) error {
	query := eventstream.Query{{Tags: []string{course}}, {Tags: []string{student}}}
	for {
		events, at, err := repo.ReadQuery(ctx, query, 0)
		if err != nil {
			return err
		}
		ofCourse, ofStudent := 0, 0
		for _, e := range events {
			if e.Tags()[0] == course {
				ofCourse++
			}
			if e.Tags()[1] == student {
				ofStudent++
			}
		}
		if ofCourse >= seats || ofStudent >= perStudent {
			return nil
		}
		_, err = repo.AppendIf(ctx, query, at, toStream(eventstream.StreamID("seat-"+course+"-"+student), tagged(t, course, student)))
		if !errors.Is(err, eventstream.ErrDecisionConflict) {
			return err
		}
	}
}
