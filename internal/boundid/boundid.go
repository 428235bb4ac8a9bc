// Package boundid knows events whose content holds only with the id that they were made with.
package boundid

import (
	"bytes"
	"encoding/json"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/invalid"
)

// MetadataKey is the key in the metadata of an event whose fields are encrypted: package shred binds them to the event's id.
const MetadataKey = "encrypted_fields"

// Check refuses to give an event another id if its content is bound to the one that it has: nobody could read it ever again.
func Check(e *eventstream.Event, id uuid.UUID) error {
	if e.ID == id || !bytes.Contains(e.Metadata, []byte(MetadataKey)) {
		return nil
	}
	var keys map[string]json.RawMessage
	if json.Unmarshal(e.Metadata, &keys) != nil || keys[MetadataKey] == nil {
		return nil
	}
	return invalid.Value("id of an event of type "+string(e.Type)+" with encrypted fields", e.ID.String(),
		id.String()+", which follows from the command or the step: encrypt it for that one, by EncodeUnder or DecideUnder of package shred")
}
