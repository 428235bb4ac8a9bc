package shred

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// MemoryKeys returns a KeyStore in memory, for tests: what it holds is gone with it.
func MemoryKeys() KeyStore {
	return &memoryKeys{keys: map[uuid.UUID]StoredKey{}, records: map[uuid.UUID]Record{}}
}

type memoryKeys struct {
	mu      sync.Mutex
	keys    map[uuid.UUID]StoredKey
	records map[uuid.UUID]Record
}

func (m *memoryKeys) Find(_ context.Context, subject string) (StoredKey, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key, found := m.find(subject)
	return key, found, nil
}

func (m *memoryKeys) find(subject string) (StoredKey, bool) {
	for _, key := range m.keys {
		if key.Subject == subject {
			return key, true
		}
	}
	return StoredKey{}, false
}

func (m *memoryKeys) Lookup(_ context.Context, ids []uuid.UUID) (keys []StoredKey, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		if r, forgotten := m.records[id]; forgotten {
			keys = append(keys, StoredKey{ID: id, Subject: r.Subject, Forgotten: true})
		} else if key, found := m.keys[id]; found {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

func (m *memoryKeys) Create(_ context.Context, key StoredKey, again bool) (StoredKey, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if is, found := m.find(key.Subject); found {
		return is, nil
	}
	if r, forgotten := m.record(key.Subject); forgotten && !again {
		return StoredKey{}, &ForgottenError{Subject: key.Subject, ForgottenAt: r.ForgottenAt}
	}
	m.keys[key.ID] = key
	return key, nil
}

// record is the newest one of a subject.
func (m *memoryKeys) record(subject string) (newest Record, found bool) {
	for _, r := range m.records {
		if r.Subject == subject && (!found || r.ForgottenAt.After(newest.ForgottenAt)) {
			newest, found = r, true
		}
	}
	return newest, found
}

func (m *memoryKeys) Forget(_ context.Context, r Request, keep func(Record) error) (Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	record := Record{Subject: r.Subject, ForgottenAt: time.Now(), ForgottenBy: r.By, Reason: r.Reason}
	if record.ForgottenBy == "" {
		record.ForgottenBy = "memory"
	}
	if key, found := m.find(r.Subject); found {
		record.KeyID = key.ID
	} else if was, forgotten := m.record(r.Subject); forgotten {
		record = was
	} else {
		record.KeyID = uuid.New()
	}
	if err := keep(record); err != nil {
		return Record{}, err
	}
	m.records[record.KeyID] = record
	delete(m.keys, record.KeyID)
	return record, nil
}

func (m *memoryKeys) Records(_ context.Context, after uuid.UUID, limit int) (page []Record, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, r := range m.records {
		if bytes.Compare(id[:], after[:]) > 0 {
			page = append(page, r)
		}
	}
	slices.SortFunc(page, func(a, b Record) int { return strings.Compare(a.KeyID.String(), b.KeyID.String()) })
	return page[:min(limit, len(page))], nil
}

func (m *memoryKeys) Replay(_ context.Context, records []Record) (deleted int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range records {
		if _, found := m.records[r.KeyID]; !found {
			m.records[r.KeyID] = r
		}
		if _, found := m.keys[r.KeyID]; found {
			delete(m.keys, r.KeyID)
			deleted++
		}
	}
	return deleted, nil
}

func (m *memoryKeys) Page(_ context.Context, after uuid.UUID, limit int) (page []StoredKey, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, key := range m.keys {
		if bytes.Compare(id[:], after[:]) > 0 {
			page = append(page, key)
		}
	}
	slices.SortFunc(page, func(a, b StoredKey) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return page[:min(limit, len(page))], nil
}

func (m *memoryKeys) Rewrap(_ context.Context, old StoredKey, wrapped []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if key, found := m.keys[old.ID]; found && bytes.Equal(key.Wrapped, old.Wrapped) {
		key.Wrapped = wrapped
		m.keys[old.ID] = key
	}
	return nil
}
