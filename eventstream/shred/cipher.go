package shred

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"strings"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
)

// What stands in the payload in place of a personal field is a JSON string: this prefix, and in base64url without padding
//
//	16 bytes   id of the subject's key
//	12 bytes   nonce, which follows from the key, the place and the value
//	n bytes    the field's JSON, encrypted by AES-256-GCM
//	16 bytes   tag
//
// The associated data are the prefix, and then, each with its length before it (4 bytes, big-endian): the id of the stream in UTF-8, the 16
// bytes of the event's id, and the field's JSON pointer in UTF-8. So a value opens nowhere but where it was written.
const (
	prefix     = "gapless-shred:1:"
	nonceBytes = 12
	tagBytes   = 16
	idBytes    = 16
)

// place is where a value belongs.
type place struct {
	stream eventstream.StreamID
	event  uuid.UUID
	field  string
}

func (p place) associated() []byte {
	data := make([]byte, 0, len(prefix)+12+len(p.stream)+idBytes+len(p.field))
	data = append(data, prefix...)
	data = binary.BigEndian.AppendUint32(data, uint32(len(p.stream))) //nolint:gosec // 128 bytes at most
	data = append(data, p.stream...)
	data = binary.BigEndian.AppendUint32(data, idBytes)
	data = append(data, p.event[:]...)
	data = binary.BigEndian.AppendUint32(data, uint32(len(p.field))) //nolint:gosec // a part of a payload, whose size is bounded
	return append(data, p.field...)
}

// encrypt gives what stands in the payload for a value. The nonce is an argument for the sake of golden tests.
func encrypt(aead cipher.AEAD, keyID uuid.UUID, nonce []byte, p place, value json.RawMessage) json.RawMessage {
	raw := make([]byte, 0, idBytes+nonceBytes+len(value)+tagBytes)
	raw = append(append(raw, keyID[:]...), nonce...)
	raw = aead.Seal(raw, nonce, value, p.associated())
	text := make([]byte, 0, len(prefix)+2+base64.RawURLEncoding.EncodedLen(len(raw)))
	text = append(append(text, '"'), prefix...)
	text = base64.RawURLEncoding.AppendEncode(text, raw)
	return append(text, '"')
}

// nonceKey is made of a subject's key, so that one key serves one purpose.
func nonceKey(key []byte) ([]byte, error) {
	return hkdf.Expand(sha256.New, key, "gapless-shred-nonce:1:", keyBytes)
}

// nonce is that of a value at its place: the first 12 bytes of HMAC-SHA256 over what it is encrypted with, associated data and value. It is not
// drawn, so that a command or a step that is repeated writes the same bytes, which the store knows again: with another nonce each time they would
// be other content under the same event id, which it refuses. GCM breaks where one nonce serves two values. Here another value, another field and
// another event have another nonce, as far as 96 bits can tell, which is as far as it is with drawn ones; and the same nonce is of the same
// bytes. All that shows is that two tries wrote the same.
func (k subjectKey) nonce(p place, value json.RawMessage) []byte {
	associated := p.associated()
	mac := hmac.New(sha256.New, k.nonces)
	mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(associated)))) //nolint:gosec // bounded as its parts are
	mac.Write(associated)
	mac.Write(value)
	return mac.Sum(nil)[:nonceBytes]
}

// encrypted is a value as it was found in a payload.
type encrypted struct {
	keyID uuid.UUID
	nonce []byte
	text  []byte
}

// parse takes a value of a payload apart.
func parse(value json.RawMessage) (encrypted, error) {
	var text string
	if err := json.Unmarshal(value, &text); err != nil {
		return encrypted{}, ErrTampered
	}
	text, found := strings.CutPrefix(text, prefix)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if !found || err != nil || len(raw) < idBytes+nonceBytes+tagBytes {
		return encrypted{}, ErrTampered
	}
	return encrypted{
		keyID: uuid.UUID(raw[:idBytes]), nonce: raw[idBytes : idBytes+nonceBytes], text: raw[idBytes+nonceBytes:],
	}, nil
}

// decrypt gives the value that was encrypted for this place.
func (e encrypted) decrypt(aead cipher.AEAD, p place) (json.RawMessage, error) {
	value, err := aead.Open(nil, e.nonce, e.text, p.associated())
	if err != nil {
		return nil, ErrTampered
	}
	return value, nil
}
