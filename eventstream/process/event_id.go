package process

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/google/uuid"
)

// EventID is the id of an event that a process appends: a UUID of version 8, made of the id of what it reacts to (an event's, a timer's), the
// name of the process, the name of its step, and the number of the event in that step, from 0. So a reaction that is repeated appends the
// same events, which the store knows again.
//
// It is the first 16 bytes of SHA-256 over: the source's 16 bytes; the lengths of process and step, as 8 bytes each, big-endian, before each
// of them; the number, as 8 bytes. Version and variant are set as RFC 9562 has them. That will not change.
func EventID(source uuid.UUID, process, step string, index int) uuid.UUID {
	h := sha256.New()
	h.Write(source[:])
	for _, text := range []string{process, step} {
		_ = binary.Write(h, binary.BigEndian, uint64(len(text)))
		h.Write([]byte(text))
	}
	_ = binary.Write(h, binary.BigEndian, uint64(index))
	var id uuid.UUID
	copy(id[:], h.Sum(nil))
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}
