// Package boundid knows events whose content holds only with the id that they were made with.
package boundid

import (
	"bytes"
	"encoding/json"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/invalid"
)

// MetadataKey is the key in the metadata of an event whose fields are encrypted: package shred binds them to the event's id.
const MetadataKey = "encrypted_fields"

// Check refuses to give an event another id if its content is bound to the one that it has: nobody could read it ever again.
func Check(e *eventstream.Event) error {
	if !bytes.Contains(e.Metadata, []byte(MetadataKey)) {
		return nil
	}
	var keys map[string]json.RawMessage
	if json.Unmarshal(e.Metadata, &keys) != nil || keys[MetadataKey] == nil {
		return nil
	}
	return invalid.Value("event of type "+string(e.Type), "with encrypted fields",
		"without, where its id follows from a command or a step: they can be read with the id alone that they were encrypted for")
}
