package eventstream

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gaplesspg/gapless/internal/shown"
)

func TestEveryErrorMatchesItsConditionAndNamesItsValues(t *testing.T) {
	t.Parallel()
	id := uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057")
	for _, c := range []struct {
		err   error
		is    []error
		words []string
	}{
		{&VersionConflictError{"s", 5, 7}, []error{ErrVersionConflict}, []string{`"s"`, "expected 5", "version 7", "load it again"}},
		{&StreamExistsError{"s", 7}, []error{ErrStreamExists, ErrVersionConflict}, []string{`"s"`, "version 7", "empty"}},
		{&StreamMissingError{"s"}, []error{ErrStreamMissing, ErrVersionConflict}, []string{`"s"`, "no events", "at least one"}},
		{&StreamNotFoundError{"s"}, []error{ErrStreamNotFound}, []string{`"s"`, "not found"}},
		{&GapError{"s", 3, 9}, []error{ErrGap}, []string{`"s"`, "version 3", "up to 9", "Ingest"}},
		{&TenantMismatchError{"s", "acme", "evil"}, []error{ErrTenantMismatch}, []string{`"s"`, `"acme"`, `"evil"`}},
		{&TenantMismatchError{"s", "acme", ""}, []error{ErrTenantMismatch}, []string{`"acme"`, "no tenant"}},
		{&StreamMismatchError{"s", "t"}, []error{ErrStreamMismatch}, []string{`"s"`, `"t"`, "NewEvent"}},
		{&PartitionMismatchError{"s", 3, 4}, []error{ErrPartitionMismatch}, []string{`"s"`, "partition 3", "partition 4"}},
		{&InvalidValueError{"stream_id", "", "long"}, []error{ErrInvalidValue}, []string{"stream_id", `""`, "long"}},
		{
			&EventIDConflictError{id, "s", "t", 4, "is there already, in another stream"},
			[]error{ErrEventIDConflict},
			[]string{id.String(), `"s"`, `"t"`, "version 4", "another stream"},
		},
		{&EventIDConflictError{EventID: id, StreamID: "s", Problem: "is new"}, []error{ErrEventIDConflict}, []string{"is new: a retry"}},
		{
			&EventIDConflictError{Problem: "is there already: Key (event_id)=(x)"},
			[]error{ErrEventIDConflict},
			[]string{"an event id is there already: Key (event_id)=(x): a retry"},
		},
		{
			&ReconstructError{StreamID: "s", Rule: "rule", Got: "got 1", Bound: "bound 2", cause: ErrInvalidValue},
			[]error{ErrReconstruct, ErrInvalidValue},
			[]string{`"s"`, "rule", "got 1", "bound 2"},
		},
	} {
		wrapped := fmt.Errorf("save: %w", c.err)
		for _, sentinel := range c.is {
			require.ErrorIs(t, wrapped, sentinel)
		}
		for _, word := range c.words {
			require.Contains(t, c.err.Error(), word)
		}
		for _, other := range []error{ErrAppendOnly, ErrPositionOrder, ErrStoreMismatch, ErrNotMigrated, ErrReadOnly, ErrEventNotFound} {
			require.NotErrorIs(t, wrapped, other)
		}
	}
	require.False(t, errors.Is(&VersionConflictError{}, ErrStreamExists))
}

func TestAValueInAnErrorIsShortAndSafeToPrint(t *testing.T) {
	t.Parallel()
	for _, lead := range []string{"", "a", "ab", "abc"} {
		require.True(t, utf8.ValidString(shown.Short(lead+strings.Repeat("😀", 30))), "no character is cut in two")
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(
			rapid.StringOfN(rapid.RuneFrom([]rune("aé€😀\n\x00")), 0, 100, -1),
			rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 100), func(b []byte) string { return string(b) }),
		).Draw(t, "s")
		short := shown.Short(s)
		require.LessOrEqual(t, len(short), shown.MaxBytes)
		require.Equal(t, short, shown.Short(short), "shortening twice is shortening once")
		require.Equal(t, len(s) <= shown.MaxBytes, short == s)
		require.True(t, strings.HasPrefix(s, strings.TrimSuffix(short, "...")))
		if utf8.ValidString(s) {
			require.True(t, utf8.ValidString(short), "no character is cut in two: %q", short)
		}
		require.NotContains(t, quote(s), "\n")
		require.True(t, utf8.ValidString(quote(s)))
	})
}
