package eventstream

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A filter is kept, and compared with the one that a subscription was created with, in one form.
func TestLogFilterOnTheWire(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		filter        LogFilter
		want          string
		isZero, dense bool
	}{
		{LogFilter{}, `{}`, true, true},
		{LogFilter{Partitions: []int{}, Types: []EventType{}}, `{}`, true, true},
		{LogFilter{Partitions: []int{3, 1, 3, 0}}, `{"partitions":[0,1,3]}`, false, true},
		{LogFilter{Category: "order"}, `{"category":"order"}`, false, false},
		{LogFilter{Types: []EventType{"b.b", "a.a", "b.b"}}, `{"types":["a.a","b.b"]}`, false, false},
		{LogFilter{Tenant: "acme"}, `{"tenant":"acme"}`, false, false},
		{
			LogFilter{Tenant: "acme", Types: []EventType{"a.a"}, Category: "Ärger", Partitions: []int{31}},
			`{"partitions":[31],"category":"Ärger","types":["a.a"],"tenant":"acme"}`, false, false,
		},
	} {
		given := LogFilter{slices.Clone(c.filter.Partitions), c.filter.Category, slices.Clone(c.filter.Types), c.filter.Tenant}
		normal, err := c.filter.validate(32)
		require.NoError(t, err)
		require.Equal(t, c.want, string(normal.json()))
		require.Equal(t, c.isZero, normal.isZero(), c.want)
		require.Equal(t, c.dense, normal.dense(), c.want)
		require.Equal(t, given, c.filter, "the caller's lists stay as they are")
	}
}

func TestLogFilterOutOfBounds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		filter LogFilter
		field  string
		rule   string
	}{
		{LogFilter{Partitions: []int{0, 4}}, "LogFilter.Partitions", "from 0 to 3"},
		{LogFilter{Partitions: []int{-1}}, "LogFilter.Partitions", "from 0 to 3"},
		{LogFilter{Category: "order-1"}, "LogFilter.Category", "the part of a stream id before its first -"},
		{LogFilter{Category: "-"}, "LogFilter.Category", "the part of a stream id before its first -"},
		{LogFilter{Category: strings.Repeat("x", 1000)}, "LogFilter.Category", ""},
		{LogFilter{Category: "a\xff"}, "LogFilter.Category", ""},
		{LogFilter{Types: []EventType{"a.a", ""}}, "event_type", ""},
		{LogFilter{Tenant: TenantID(strings.Repeat("x", 1000))}, "tenant_id", ""},
	} {
		_, err := c.filter.validate(4)
		var got *InvalidValueError
		require.ErrorAs(t, err, &got, "%+v", c.filter)
		require.Equal(t, c.field, got.Field)
		require.Contains(t, got.Rule, c.rule)
	}
}

// The normal form does not depend on the order in which things were given, or how often, and is its own normal form.
func TestLogFilterNormalForm(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		filter := LogFilter{
			Partitions: rapid.SliceOf(rapid.IntRange(0, 31)).Draw(t, "partitions"),
			Types:      rapid.SliceOf(rapid.SampledFrom([]EventType{"a.a", "b.b", "c.c"})).Draw(t, "types"),
		}
		normal, err := filter.validate(32)
		require.NoError(t, err)
		again, err := normal.validate(32)
		require.NoError(t, err)
		require.Equal(t, normal, again)
		other := LogFilter{
			Partitions: append(rapid.Permutation(filter.Partitions).Draw(t, "other partitions"), filter.Partitions...),
			Types:      rapid.Permutation(filter.Types).Draw(t, "other types"),
		}
		same, err := other.validate(32)
		require.NoError(t, err)
		require.Equal(t, string(normal.json()), string(same.json()))
		for _, p := range filter.Partitions {
			require.Contains(t, normal.Partitions, p)
		}
	})
}
