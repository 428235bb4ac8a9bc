package shred

import (
	"container/list"
	"crypto/cipher"
	"sync"
	"time"

	"github.com/google/uuid"
)

// subjectKey is a key ready for use; of one that was forgotten, aead is nil.
type subjectKey struct {
	id      uuid.UUID
	subject string
	aead    cipher.AEAD
	// nonces is the key that nonces are made with.
	nonces []byte
}

// cache holds keys for a while, so many of them: the ones that were used last.
type cache struct {
	most int
	ttl  time.Duration
	now  func() time.Time

	mu        sync.Mutex
	order     *list.List
	byID      map[uuid.UUID]*list.Element
	bySubject map[string]uuid.UUID
	// epoch counts what was forgotten, so that a key that was looked up before is not put in after.
	epoch int64
}

type cacheEntry struct {
	subjectKey
	until time.Time
}

func newCache(most int, ttl time.Duration) *cache {
	return &cache{
		most: most, ttl: ttl, now: time.Now, order: list.New(),
		byID: map[uuid.UUID]*list.Element{}, bySubject: map[string]uuid.UUID{},
	}
}

func (c *cache) get(id uuid.UUID) (subjectKey, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.find(id)
}

// ofSubject is get for the key that a subject's fields are encrypted with.
func (c *cache) ofSubject(subject string) (subjectKey, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id, found := c.bySubject[subject]
	if !found {
		return subjectKey{}, false
	}
	return c.find(id)
}

func (c *cache) find(id uuid.UUID) (subjectKey, bool) {
	element, found := c.byID[id]
	if !found {
		return subjectKey{}, false
	}
	entry, _ := element.Value.(*cacheEntry)
	if !c.now().Before(entry.until) {
		c.remove(id)
		return subjectKey{}, false
	}
	c.order.MoveToFront(element)
	return entry.subjectKey, true
}

// at is the epoch before something is looked up.
func (c *cache) at() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.epoch
}

// put keeps a key that was looked up in an epoch.
func (c *cache) put(key subjectKey, epoch int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ttl <= 0 || epoch != c.epoch {
		return
	}
	c.remove(key.id)
	c.byID[key.id] = c.order.PushFront(&cacheEntry{subjectKey: key, until: c.now().Add(c.ttl)})
	if key.aead != nil {
		c.bySubject[key.subject] = key.id
	}
	for c.order.Len() > c.most {
		last, _ := c.order.Back().Value.(*cacheEntry)
		c.remove(last.id)
	}
}

// clear drops what is kept: after something was forgotten, and before an answer that must be today's.
func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	c.order.Init()
	clear(c.byID)
	clear(c.bySubject)
}

// forget drops a key.
func (c *cache) forget(id uuid.UUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	c.remove(id)
}

func (c *cache) remove(id uuid.UUID) {
	element, found := c.byID[id]
	if !found {
		return
	}
	entry, _ := element.Value.(*cacheEntry)
	if c.bySubject[entry.subject] == id {
		delete(c.bySubject, entry.subject)
	}
	delete(c.byID, id)
	c.order.Remove(element)
}
