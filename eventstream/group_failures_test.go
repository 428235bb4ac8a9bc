package eventstream

import (
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/db"
)

func TestGroupRefusalHurtsNobodyElse(t *testing.T) {
	t.Parallel()
	refused := map[string]error{
		"bad0": &pgconn.PgError{Severity: "ERROR", Code: "ES005", Detail: `{"stream_id":"bad0"}`},
		"bad1": &pgconn.PgError{Severity: "ERROR", Code: "22P05"},
	}
	inGroup(t, GroupConfig{InFlight: 1}, func(t *testing.T, g *group, s *groupServer) {
		s.answer = func(p db.EventAppendBatchParams, _ string) ([]db.EventAppendBatchRow, error) {
			rows := appendedAll(p)
			for i, stream := range p.StreamIds {
				if err := refused[stream]; err != nil {
					return nil, err
				}
				if stream == "late" {
					rows[i] = db.EventAppendBatchRow{Outcome: "version_conflict", CurrentVersion: 7}
				}
			}
			return rows, nil
		}
		calls := []*groupUser{startAppend(t, g, "first", 1)}
		for _, stream := range []string{"a", "b", "bad0", "late", "c", "d", "bad1", "e"} {
			calls = append(calls, startAppend(t, g, stream, 1))
		}
		for i := 0; i < len(s.batches()); i++ {
			s.release(i)
		}
		requireAppended(t, calls[0], calls[1], calls[2], calls[5], calls[6], calls[8])
		var duplicate *EventIDConflictError
		require.ErrorAs(t, calls[3].err, &duplicate)
		var invalid *InvalidValueError
		require.ErrorAs(t, calls[7].err, &invalid)
		require.ErrorIs(t, calls[4].err, ErrVersionConflict)
	})
}

func TestGroupLostConnectionIsEverybodys(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]error{
		"NoAnswer": io.ErrUnexpectedEOF,
		"Killed":   &pgconn.PgError{Severity: "FATAL", Code: "57P01"},
		"Conflict": &pgconn.PgError{Severity: "FATAL", Code: "40001"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inGroup(t, GroupConfig{InFlight: 1}, func(t *testing.T, g *group, s *groupServer) {
				first := startAppend(t, g, "a", 1)
				b, c := startAppend(t, g, "b", 1), startAppend(t, g, "c", 1)
				s.release(0)
				requireAppended(t, first)
				s.answer = func(db.EventAppendBatchParams, string) ([]db.EventAppendBatchRow, error) { return nil, lost }
				s.release(1)
				require.Len(t, s.batches(), 2, "not sent again: it may have been applied")
				for _, call := range []*groupUser{b, c} {
					require.ErrorIs(t, call.err, lost)
					require.True(t, SafeToRetry(call.err))
				}
			})
		})
	}
}

var errLocked = &pgconn.PgError{Severity: "ERROR", Code: lockNotAvailable}

// A stream that somebody has locked is waited for apart from the others, in order, and one that comes later waits behind.
func TestGroupWaitsForALockApart(t *testing.T) {
	t.Parallel()
	inGroup(t, GroupConfig{InFlight: 1}, func(t *testing.T, g *group, s *groupServer) {
		s.answer = func(p db.EventAppendBatchParams, lockTimeout string) ([]db.EventAppendBatchRow, error) {
			for _, stream := range p.StreamIds {
				if stream == "locked" && lockTimeout != "" {
					return nil, errLocked
				}
			}
			return nil, nil
		}
		first := startAppend(t, g, "first", 1)
		calls := []*groupUser{startAppend(t, g, "a", 1), startAppend(t, g, "locked", 1), startAppend(t, g, "locked", 2), startAppend(t, g, "b", 1)}
		s.release(0)
		for i := 1; i < 5; i++ {
			s.release(i)
		}
		require.Equal(t, [][]string{
			{"first"}, {"a", "locked", "locked", "b"}, {"a"}, {"locked", "locked"}, {"b"}, {"locked", "locked"},
		}, s.batches())
		require.Empty(t, s.sent[5].timeout, "waits as long as it takes")
		requireAppended(t, first, calls[0], calls[3])
		c, behind := startAppend(t, g, "c", 1), startAppend(t, g, "locked", 3)
		require.Equal(t, []string{"c"}, s.batches()[6], "others go on meanwhile")
		s.release(6)
		requireAppended(t, c)
		require.Len(t, s.batches(), 7)
		s.release(5)
		requireAppended(t, calls...)
		require.Equal(t, []string{"locked"}, s.batches()[7])
		s.release(7)
		requireAppended(t, behind)
	})
}

// The first half of a batch is told apart from the second by an error, and has a stream that is locked: what follows it in the second
// half must not overtake it.
func TestGroupKeepsOrderPastALock(t *testing.T) {
	t.Parallel()
	inGroup(t, GroupConfig{InFlight: 1}, func(t *testing.T, g *group, s *groupServer) {
		tries := 0
		s.answer = func(p db.EventAppendBatchParams, _ string) ([]db.EventAppendBatchRow, error) {
			if slices.Contains(p.StreamIds, "bad") {
				return nil, &pgconn.PgError{Severity: "ERROR", Code: "ES005"}
			}
			if slices.Contains(p.StreamIds, "locked") && tries < 2 {
				tries++
				return nil, errLocked
			}
			return nil, nil
		}
		startAppend(t, g, "first", 1)
		for i, stream := range []string{"a", "locked", "bad", "locked", "b"} {
			startAppend(t, g, stream, i+1)
		}
		for i := 0; i < len(s.batches()); i++ {
			s.release(i)
		}
		require.Equal(t, 2, tries, "the lock went while it was waited for")
		last := s.sent[len(s.sent)-1]
		require.Equal(t, []string{"locked", "locked"}, last.streams)
		require.Equal(t, []int32{2, 4}, last.params.EventCounts)
		require.Empty(t, last.timeout)
	})
}

// A batch is split because of one bad call, and then a stream of its first half is found locked: all streams are free in the end.
func TestGroupFreesTheStreamsOfBothHalves(t *testing.T) {
	t.Parallel()
	inGroup(t, GroupConfig{InFlight: 1}, func(t *testing.T, g *group, s *groupServer) {
		s.answer = func(p db.EventAppendBatchParams, lockTimeout string) ([]db.EventAppendBatchRow, error) {
			if len(p.StreamIds) == 4 {
				return nil, &pgconn.PgError{Severity: "ERROR", Code: "ES005"}
			}
			if lockTimeout != "" && p.StreamIds[0] == "x" {
				return nil, errLocked
			}
			return nil, nil
		}
		calls := []*groupUser{startAppend(t, g, "first", 1)}
		for _, stream := range []string{"x", "x", "y", "x"} {
			calls = append(calls, startAppend(t, g, stream, 1))
		}
		for i := 0; i < len(s.batches()); i++ {
			s.release(i)
		}
		requireAppended(t, calls...)
		require.Empty(t, g.busy)
		require.Zero(t, g.flying)
	})
}

// Of a stream that is waited for apart, the last caller leaves: its statement ends, whatever became of the batch's other calls.
func TestGroupEndsAStatementThatNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	inGroup(t, GroupConfig{InFlight: 1}, func(t *testing.T, g *group, s *groupServer) {
		s.answer = func(p db.EventAppendBatchParams, lockTimeout string) ([]db.EventAppendBatchRow, error) {
			if lockTimeout != "" && slices.Contains(p.StreamIds, "locked") {
				return nil, errLocked
			}
			return nil, nil
		}
		first := startAppend(t, g, "first", 1)
		a, locked := startAppend(t, g, "a", 1), startAppend(t, g, "locked", 1)
		for i := range 4 {
			s.release(i)
		}
		requireAppended(t, first, a)
		require.Equal(t, []string{"locked"}, s.batches()[4])
		locked.cancel()
		synctest.Wait()
		requireCanceled(t, locked, true)
		require.Error(t, s.sent[4].ctx.Err())
		require.Empty(t, g.busy)
	})
}

func TestGroupDoesNotCountASlowBatch(t *testing.T) {
	t.Parallel()
	inGroup(t, GroupConfig{InFlight: 1}, func(t *testing.T, g *group, s *groupServer) {
		slow, next := startAppend(t, g, "a", 1), startAppend(t, g, "b", 1)
		require.Len(t, s.batches(), 1)
		time.Sleep(slowBatch)
		require.Equal(t, [][]string{{"a"}, {"b"}}, s.batches())
		s.release(0)
		c := startAppend(t, g, "c", 1)
		require.Len(t, s.batches(), 2, "its place is not given back twice")
		s.release(1)
		s.release(2)
		requireAppended(t, slow, next, c)
	})
}
