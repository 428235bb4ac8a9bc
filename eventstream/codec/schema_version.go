package codec

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/invalid"
)

// SchemaVersionKey is where the schema version of an event stands in its metadata: a whole number from 1. An event without has version 1,
// which is not written. The SQL function eventstream.event_schema_version reads it too.
const SchemaVersionKey = "schema_version"

// maxVersion has as many digits as the rule of eventstream.event_schema_version allows.
const maxVersion = 999_999_999

// SchemaVersion returns the schema version of an event: what its metadata say, 1 if they say nothing, and 0 for anything that is not a whole
// number from 1 to 999,999,999, which no registry knows.
func SchemaVersion(e eventstream.Event) int {
	text, found := versionText(e.Metadata)
	if !found {
		return 1
	}
	version, err := strconv.Atoi(string(text))
	// As it is written, so that 1.0, 01 and +1 are none, as in SQL.
	if err != nil || version < 1 || version > maxVersion || strconv.Itoa(version) != string(text) {
		return 0
	}
	return version
}

// versionText is the JSON of the version, and whether there is any. Most events have none, which is seen without parsing them; one that is
// escaped can hide the key.
func versionText(metadata json.RawMessage) ([]byte, bool) {
	if !bytes.Contains(metadata, []byte(SchemaVersionKey)) && !bytes.ContainsRune(metadata, '\\') {
		return nil, false
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(metadata, &keys); err != nil {
		return nil, true
	}
	text, found := keys[SchemaVersionKey]
	return text, found
}

// setSchemaVersion writes a version into the metadata of an event that has none.
func setSchemaVersion(e *eventstream.Event, version int) error {
	if text, found := versionText(e.Metadata); found {
		return invalid.Value("metadata "+SchemaVersionKey, string(text), "left to the registry, which writes "+strconv.Itoa(version))
	}
	if version == 1 {
		return nil
	}
	set := []byte(`{"` + SchemaVersionKey + `":` + strconv.Itoa(version))
	rest := bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(e.Metadata), []byte("{")))
	switch {
	case len(rest) == 0:
		set = append(set, '}')
	case rest[0] == '}':
		set = append(set, rest...)
	default:
		set = append(append(set, ','), rest...)
	}
	e.Metadata = set
	return nil
}
