package eventstream

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestStartsOutOfBounds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		start Start
		want  InvalidValueError
	}{
		{FromPosition(0), InvalidValueError{"start position", "0", "1 or more"}},
		{FromPosition(-1), InvalidValueError{"start position", "-1", "1 or more"}},
		{FromLatest + "x", InvalidValueError{"start", "latestx", "FromBeginning or FromLatest"}},
		{FromSequence(0), InvalidValueError{"start sequence", "0", "1 or more"}},
		{FromPartitionSequences(map[int]int64{4: 1}), InvalidValueError{"start partition", "4", "from 0 to 3"}},
		{FromPartitionSequences(map[int]int64{-1: 1}), InvalidValueError{"start partition", "-1", "from 0 to 3"}},
		{FromPartitionSequences(map[int]int64{3: 0}), InvalidValueError{"start sequence of partition 3", "0", "1 or more"}},
	} {
		var got *InvalidValueError
		require.ErrorAs(t, c.start.validate(4), &got)
		require.Equal(t, c.want, *got)
	}
	for _, at := range []time.Time{{}, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(0, 12, 31, 0, 0, 0, 0, time.UTC)} {
		require.ErrorIs(t, FromTime(at).validate(4), ErrInvalidValue)
	}
	require.NoError(t, FromPartitionSequences(map[int]int64{0: 1, 3: 99}).validate(4))
}

// A log event keeps its numbers in JSON, beside the fields of the event that is in it.
func TestLogEventJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		event := LogEvent{
			Event: Event{
				ID: uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")), StreamID: "order-1", Version: 3, Type: "order.placed",
				Position: rapid.Int64Range(0, 1<<62).Draw(t, "position"), Payload: json.RawMessage(`{"n":1}`),
				PartitionID: rapid.IntRange(0, 32767).Draw(t, "partition"), OccurredAt: time.Unix(1700000000, 0).UTC(),
			},
			Sequence:          rapid.Int64Range(0, 1<<62).Draw(t, "sequence"),
			PartitionSequence: rapid.Int64Range(0, 1<<62).Draw(t, "partition sequence"),
		}
		text, err := json.Marshal(event)
		require.NoError(t, err)
		var back LogEvent
		require.NoError(t, json.Unmarshal(text, &back))
		require.Equal(t, event, back)
	})

	text, err := json.Marshal(LogEvent{Event: Event{Position: 5}, Sequence: 4, PartitionSequence: 2})
	require.NoError(t, err)
	var keys map[string]any
	require.NoError(t, json.Unmarshal(text, &keys))
	require.Equal(t, []any{5.0, 4.0, 2.0}, []any{keys["position"], keys["sequence"], keys["partition_sequence"]})
}

func TestLogEventJSONThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`[]`, `null`, `{"sequence": "1"}`, `{"sequence": -1}`, `{"partition_sequence": -1}`, `{"partition_sequence": 1.5}`, `{"position": -1}`,
		`{"metadata": []}`,
	} {
		event := LogEvent{Sequence: 7}
		require.Error(t, json.Unmarshal([]byte(text), &event), text)
		require.Equal(t, LogEvent{Sequence: 7}, event, "on error the event keeps its value")
	}
}

func TestStartsAsTheDatabaseKeepsThem(t *testing.T) {
	t.Parallel()
	for want, start := range map[string]Start{
		`{"from":"beginning"}`: FromBeginning,
		`{"from":"latest"}`:    FromLatest,
		`{"position":7}`:       FromPosition(7),
		`{"sequence":7}`:       FromSequence(7),
		`{"after":{"event_id":"00000000-0000-0000-0000-000000000000","position":7}}`: After(LogEvent{Event: Event{Position: 7}}),
		`{"time":"2024-02-03T03:05:06.000007Z"}`:                                     FromTime(time.Date(2024, 2, 3, 4, 5, 6, 7000, time.FixedZone("", 3600))),
		`{"partition_sequences":{"0":1,"31":70}}`:                                    FromPartitionSequences(map[int]int64{31: 70, 0: 1}),
		`{"partition_sequences":{}}`:                                                 FromPartitionSequences(nil),
		`{"position":9223372036854775807}`:                                           FromPosition(1<<63 - 1),
		`{"time":"9999-12-31T23:59:59.999999999Z"}`:                                  FromTime(time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC)),
		`{"partition_sequences":{"5":9007199254740993}}`:                             FromPartitionSequences(map[int]int64{5: 1<<53 + 1}),
	} {
		require.JSONEq(t, want, string(startJSON(start)))
		require.Equal(t, want, string(startJSON(start)))
	}
}
