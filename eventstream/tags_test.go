package eventstream_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// Tags and metadata come together, whatever the order of the options, and each tag once.
func TestWithTagsAndMetadata(t *testing.T) {
	t.Parallel()
	metadata := eventstream.WithMetadata(map[string]any{"trace": "a<b", "n": json.Number("12345678901234567890")})
	for name, options := range map[string][]eventstream.EventOption{
		"TagsFirst": {eventstream.WithTags("course:7", "student:9"), metadata},
		"TagsLast":  {metadata, eventstream.WithTags("course:7", "student:9")},
		"Twice":     {eventstream.WithTags("course:7"), metadata, eventstream.WithTags("course:7", "student:9")},
		"InBoth":    {eventstream.WithTags("student:9"), eventstream.WithMetadata([]byte(`{"trace": "a<b", "n": 12345678901234567890, "tags": ["course:7"]}`))},
	} {
		e, err := eventstream.NewEvent("x", nil, options...)
		require.NoError(t, err, name)
		require.Equal(t, []string{"course:7", "student:9"}, e.Tags(), name)
		require.JSONEq(t, `{"n": 12345678901234567890, "tags": ["course:7", "student:9"], "trace": "a<b"}`, string(e.Metadata), name)
		require.Contains(t, string(e.Metadata), "12345678901234567890", "numbers keep their digits")
		require.NoError(t, e.Validate())
	}
	e, err := eventstream.NewEvent("x", nil, metadata)
	require.NoError(t, err)
	require.Nil(t, e.Tags())
	e, err = eventstream.NewEvent("x", nil, eventstream.WithTags())
	require.NoError(t, err)
	require.Nil(t, e.Metadata)
	e.Metadata = []byte(`{"\u0074ags": ["x"]}`)
	require.Equal(t, []string{"x"}, e.Tags(), "an escaped key is the same key")
}

func TestWithTagsRefusesWhatIsNone(t *testing.T) {
	t.Parallel()
	many := make([]string, eventstream.MaxTags+1)
	for i := range many {
		many[i] = fmt.Sprint("t", i)
	}
	for _, tags := range [][]string{{""}, {" x"}, {"x\n"}, {strings.Repeat("x", 129)}, {"\xff"}, many} {
		_, err := eventstream.NewEvent("x", nil, eventstream.WithTags(tags...))
		require.ErrorIs(t, err, eventstream.ErrInvalidValue, "%q", tags)
	}
	_, err := eventstream.NewEvent("x", nil, eventstream.WithTags(many[1:]...))
	require.NoError(t, err)
	_, err = eventstream.NewEvent("x", nil, eventstream.WithMetadata(map[string]any{"tags": "x"}))
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
}

func ExampleWithTags() {
	e, err := eventstream.NewEvent("student.subscribed", nil, eventstream.WithTags("course:7", "student:9"))
	fmt.Println(e.Tags(), string(e.Metadata), err)
	// Output: [course:7 student:9] {"tags":["course:7","student:9"]} <nil>
}
