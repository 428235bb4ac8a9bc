package main

import (
	"context"
	"crypto/md5"
	"errors"
	"strconv"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
)

// stream is a stream, and where it stands.
type stream struct {
	id        eventstream.StreamID
	partition int32
	version   int64
}

// newStream gives a stream that is not there yet.
func newStream(id string) (*stream, error) {
	key, err := eventstream.PartitionOf(eventstream.StreamID(id), eventstream.DefaultPartitionCount)
	return &stream{id: eventstream.StreamID(id), partition: int32(key.ID)}, err
}

// seededStream gives the stream of a number, as seedEvents names them.
func seededStream(n int, version int64) *stream {
	s, err := newStream("order-" + uuid.UUID(md5.Sum([]byte(strconv.Itoa(n)))).String())
	if err != nil {
		panic(err) // the default count is valid
	}
	s.version = version
	return s
}

// streams are those of one caller, used in turn, as real writers come back to a stream after others.
type streams struct {
	own  []*stream
	turn int
}

// streamsOf gives the n streams of a caller on one side, at a version.
func streamsOf(caller, n int, version int64) *streams {
	s := &streams{own: make([]*stream, n)}
	for i := range s.own {
		s.own[i] = seededStream(caller*n+i+1, version)
	}
	return s
}

func (s *streams) next() *stream {
	s.turn++
	return s.own[s.turn%len(s.own)]
}

// seed writes so many streams on both sides, with so many events each.
func (s *store) seed(ctx context.Context, streams, events int) error {
	return errors.Join(
		s.fill(ctx, s.gapless, seedGapless, 1, streams, events),
		s.fill(ctx, s.raw, seedBare, 1, streams, events))
}

// fill writes streams first to last on one side, in statements of bounded size.
func (s *store) fill(ctx context.Context, pool *pgxpool.Pool, statement string, first, last, events int) error {
	step := max(s.sizes.growLimit/events, 1)
	for ; first <= last; first += step {
		if _, err := pool.Exec(ctx, statement, first, min(first+step-1, last), events, payload); err != nil {
			return err
		}
	}
	return nil
}
