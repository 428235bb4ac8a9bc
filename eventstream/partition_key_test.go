package eventstream_test

import (
	"encoding/json"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gaplesspg/gapless/eventstream"
)

// The table was computed by Python's hashlib. A change here would send streams to other partitions.
func TestPartitionOfIsSHA256ModuloCount(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/partitions.json")
	require.NoError(t, err)
	var rows []struct {
		StreamID   eventstream.StreamID `json:"stream_id"`
		Partitions map[string]int       `json:"partitions"`
	}
	require.NoError(t, json.Unmarshal(raw, &rows))
	require.NotEmpty(t, rows)
	for _, row := range rows {
		for text, want := range row.Partitions {
			count, err := strconv.Atoi(text)
			require.NoError(t, err)
			key, err := eventstream.PartitionOf(row.StreamID, count)
			require.NoError(t, err)
			require.Equal(t, eventstream.PartitionKey{ID: want, Count: count}, key, "%s of %d", row.StreamID, count)
		}
	}
}

func TestPartitionOfRefusesACountOutOfRange(t *testing.T) {
	t.Parallel()
	for _, count := range []int{-1, 0, 32769, 1 << 40} {
		key, err := eventstream.PartitionOf("order-1", count)
		require.ErrorIs(t, err, eventstream.ErrInvalidValue, "%d", count)
		require.Zero(t, key)
	}
}

func TestPartitionKeyBounds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		id, count int
		valid     bool
	}{
		{0, 1, true},
		{31, 32, true},
		{32767, 32768, true},
		{0, 0, false},
		{1, 1, false},
		{32, 32, false},
		{-1, 32, false},
		{0, -1, false},
		{0, 32769, false},
	} {
		key, err := eventstream.NewPartitionKey(c.id, c.count)
		require.Equal(t, c.valid, err == nil, "%d/%d: %v", c.id, c.count, err)
		if c.valid {
			require.Equal(t, eventstream.PartitionKey{ID: c.id, Count: c.count}, key)
		} else {
			require.ErrorIs(t, err, eventstream.ErrInvalidValue)
			require.Zero(t, key)
		}
	}
}

func TestPartitionKeyTextReadsBackAndNothingElseDoes(t *testing.T) {
	t.Parallel()
	require.Equal(t, "partition-5/32", eventstream.PartitionKey{ID: 5, Count: 32}.String())
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.IntRange(1, 32768).Draw(t, "count")
		key, err := eventstream.NewPartitionKey(rapid.IntRange(0, count-1).Draw(t, "id"), count)
		require.NoError(t, err)
		parsed, err := eventstream.ParsePartitionKey(key.String())
		require.NoError(t, err)
		require.Equal(t, key, parsed)
	})
	for _, text := range []string{
		"", "5/32", "partition-", "partition-5", "partition-/32", "partition-5/", "partition-05/32", "partition-+5/32",
		"partition--1/32", "partition-5/032", "partition-32/32", "partition-0/0", "partition-0/32769", "partition-5/32 ",
		" partition-5/32", "Partition-5/32", "partition-5/32/1", "partition-x/32", "partition-0/x", "partition-99999999999999999999/32",
	} {
		_, err := eventstream.ParsePartitionKey(text)
		require.ErrorIs(t, err, eventstream.ErrInvalidValue, "%q", text)
	}
}

func TestPartitionKeyInJSONIsItsText(t *testing.T) {
	t.Parallel()
	raw, err := json.Marshal(eventstream.PartitionKey{ID: 5, Count: 32})
	require.NoError(t, err)
	require.JSONEq(t, `"partition-5/32"`, string(raw))
	var key eventstream.PartitionKey
	require.NoError(t, json.Unmarshal(raw, &key))
	require.Equal(t, eventstream.PartitionKey{ID: 5, Count: 32}, key)

	_, err = json.Marshal(eventstream.PartitionKey{})
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	require.Error(t, json.Unmarshal([]byte(`{"ID":5,"Count":32}`), &key))
}

func TestEveryPartitionBelongsToOneNode(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.IntRange(1, 100).Draw(t, "count")
		nodes := rapid.IntRange(1, 120).Draw(t, "nodes")
		key := eventstream.PartitionKey{ID: rapid.IntRange(0, count-1).Draw(t, "id"), Count: count}
		owners := 0
		for node := range nodes {
			if key.BelongsToNode(node, nodes) {
				owners++
				require.Equal(t, key.ID%nodes, node)
			}
		}
		require.Equal(t, 1, owners)
	})
	key := eventstream.PartitionKey{ID: 5, Count: 32}
	require.False(t, key.BelongsToNode(0, 0))
	require.False(t, key.BelongsToNode(0, -1))
	require.False(t, key.BelongsToNode(-1, 4))
	require.False(t, key.BelongsToNode(5, 4))
	require.False(t, key.BelongsToNode(5, 5))
	require.False(t, eventstream.PartitionKey{}.BelongsToNode(0, 1))
	require.False(t, eventstream.PartitionKey{ID: 7, Count: 3}.BelongsToNode(1, 2))
}
