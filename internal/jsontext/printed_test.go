package jsontext

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// An integration test asks the database the same: TestPrintedJSONIsAsTheTableSays.
func TestPrintedJSONIsAsLongAsTheTableSays(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/json_printed.json")
	require.NoError(t, err)
	var cases []struct {
		JSON  string
		Bytes int
	}
	require.NoError(t, json.Unmarshal(raw, &cases))
	require.NotEmpty(t, cases)
	for _, c := range cases {
		require.Equal(t, c.Bytes, (&printer{text: []byte(c.JSON)}).value(), c.JSON)
		bound, _ := boundsOf([]byte(c.JSON))
		require.GreaterOrEqual(t, bound, c.Bytes, c.JSON)
	}
}
