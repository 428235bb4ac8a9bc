package boundid

import (
	"encoding/json"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

func TestEncryptedFieldsKeepTheirID(t *testing.T) {
	t.Parallel()
	for metadata, bound := range map[string]bool{
		``: false, `{}`: false, `{"note": "encrypted_fields"}`: false, `{"a": {"encrypted_fields": {}}}`: false,
		`{"encrypted_fields": {"/name": {}}}`: true, `{"trace": 1, "encrypted_fields": []}`: true,
	} {
		e := &eventstream.Event{ID: uuid.New(), Type: "person.named", Metadata: json.RawMessage(metadata)}
		require.NoError(t, Check(e, e.ID), "its own")
		err := Check(e, uuid.New())
		if bound {
			require.ErrorIs(t, err, eventstream.ErrInvalidValue, metadata)
		} else {
			require.NoError(t, err, metadata)
		}
	}
}
