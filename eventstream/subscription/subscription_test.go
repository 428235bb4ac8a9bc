package subscription

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	for _, given := range []*Config{nil, {}} {
		config, err := given.withDefaults(time.Minute)
		require.NoError(t, err)
		require.NotNil(t, config.Observer)
		config.Observer = nil
		require.Equal(t, Config{
			From: eventstream.FromBeginning, Shards: 1, BatchSize: 1000, Window: 4, OnFailure: Stop, MaxTries: 5,
			MinBackoff: 100 * time.Millisecond, MaxBackoff: 30 * time.Second,
			StopTimeout: time.Minute, IdleTimeout: time.Minute,
		}, config)
	}
	config, err := (&Config{MinBackoff: time.Minute}).withDefaults(time.Second)
	require.NoError(t, err)
	require.Equal(t, time.Minute, config.MaxBackoff, "never below MinBackoff")
}

// Every partition that a filter selects belongs to exactly one shard, and one that it does not select to none.
func TestShardFilterSharesPartitions(t *testing.T) {
	t.Parallel()
	for _, filter := range []eventstream.LogFilter{{}, {Partitions: []int{5}}, {Partitions: []int{0, 1, 2, 3, 30, 31}}, {Category: "order"}} {
		for _, shards := range []int{1, 2, 3, 7, 32} {
			owners := map[int]int{}
			for shard := range shards {
				f := shardFilter(filter, shard, shards, 32)
				require.Equal(t, filter.Category, f.Category)
				for _, p := range f.Partitions {
					require.Equal(t, shard, p%shards)
					owners[p]++
				}
			}
			want := filter.Partitions
			if len(want) == 0 && shards > 1 {
				want = make([]int, 32)
				for i := range want {
					want[i] = i
				}
			}
			require.Len(t, owners, len(want))
			for _, p := range want {
				require.Equal(t, 1, owners[p], "partition %d of %d shards", p, shards)
			}
		}
	}
}

func TestStorable(t *testing.T) {
	t.Parallel()
	require.Equal(t, "as it is: ä", storable("as it is: ä"))
	require.Equal(t, "a\ufffdb", storable("a\x00b"))
	require.Equal(t, "a\ufffdb", storable("a\xffb"))
	long := storable(strings.Repeat("ä", 8<<10))
	require.LessOrEqual(t, len(long), 8<<10+len("\ufffd"))
	require.True(t, utf8.ValidString(long))
	require.True(t, utf8.ValidString(storable("x"+strings.Repeat("ä", 8<<10))), "cut in the middle of a letter")
}

// A handler's error, its panic, and nothing else count as its failure.
func TestCall(t *testing.T) {
	t.Parallel()
	var failure *handlerFailure
	require.NoError(t, call(func() error { return nil }))
	cause := errors.New("cause")
	err := call(func() error { return cause })
	require.ErrorAs(t, err, &failure)
	require.ErrorIs(t, err, cause)
	err = call(func() error { panic(cause) })
	require.ErrorAs(t, err, &failure)
	var panicked *HandlerPanicError
	require.ErrorAs(t, err, &panicked)
	require.Equal(t, cause, panicked.Value)
	require.Contains(t, err.Error(), "TestCall")
	require.Equal(t, cause, unwrapFailure(asFailure(cause)))
	require.Equal(t, cause, unwrapFailure(cause))
}

// The first acknowledgement of a batch counts, and what is done is taken from the front alone.
func TestAckQueue(t *testing.T) {
	t.Parallel()
	q := &ackQueue{signal: make(chan struct{}, 1)}
	first, second, third := &ackBatch{}, &ackBatch{}, &ackBatch{}
	q.batches = []*ackBatch{first, second, third}
	q.end(second, nil)
	require.Empty(t, q.done())
	q.end(first, nil)
	q.end(first, errors.New("late"))
	q.end(third, errors.New("failed"))
	require.Equal(t, []*ackBatch{first, second}, q.done())
	q.remove(2)
	count, failed, allEnded := q.state()
	require.Equal(t, []any{1, true, true}, []any{count, failed, allEnded})
	require.Len(t, q.signal, 1)
}
