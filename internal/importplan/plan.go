package importplan

import "github.com/google/uuid"

// Place is where an event is in the store.
type Place struct {
	Stream  string
	Version int64
}

// Reason is why an event cannot be imported.
type Reason int

const (
	// Hole says that Refusal.FirstMissing is missing before it, or in its stream.
	Hole Reason = iota + 1
	// VersionTaken says that another event has its version: of the store, or Refusal.Other of the chunk.
	VersionTaken
	// IDTaken says that its id is that of the event at Refusal.Found.
	IDTaken
	// OtherTenant says that its stream is of Refusal.Tenant.
	OtherTenant
	// NoPartition says that the store does not have its partition.
	NoPartition
	// OtherPartition says that its stream is in Refusal.Partition.
	OtherPartition
	// Moved says that the store has it, and did not when its stream was looked at. Look again.
	Moved
)

// Refusal is the first event of a chunk that cannot be imported.
type Refusal struct {
	// At is its place in the chunk.
	At     int
	Reason Reason
	// FirstMissing and Current are those of a Hole.
	FirstMissing, Current int64
	// InChunk says that Other, an event of the chunk, has taken the version.
	InChunk   bool
	Other     uuid.UUID
	Found     Place
	Tenant    string
	Partition int
}

// Rules are what an import makes of what events do not say.
type Rules struct {
	// DefaultTenant owns new streams whose first event names no tenant.
	DefaultTenant string
	// Partitions is how many the store has.
	Partitions int
	// KeepPartitions says that the events name the partitions.
	KeepPartitions bool
}

// Begin forgets what an earlier plan found out: every stream is new, in the partition that partitionOf gives.
func (c *Chunk) Begin(partitionOf func(stream string) int32) {
	c.unplan()
	for at, id := range c.streamIDs {
		c.heads[at] = head{Head: Head{Partition: partitionOf(id)}, next: 1}
	}
}

// Find says that the store has a stream of the chunk.
func (c *Chunk) Find(stream string, found Head) {
	c.heads[c.streams[stream]] = head{Head: found, next: found.Watermark + 1}
}

// Doubtful lists the ids of those events that may be in the store already, for Plan. thorough lists all, rather than those of streams that
// have any: a new stream's events may be elsewhere, but then the copy fails, and only then is it worth the time.
func (c *Chunk) Doubtful(thorough bool) []string {
	var ids []string
	for at := range c.events {
		e, watermark := &c.events[at], c.heads[c.headOf[at]].Watermark
		if thorough || watermark > 0 && e.Version <= watermark {
			ids = append(ids, e.ID.String())
		}
	}
	return ids
}

// Plan decides which events are written, one by one in their order; there are those that the store has, as far as they were looked for. It
// returns nil, or the first one that cannot be imported.
func (c *Chunk) Plan(there map[uuid.UUID]Place, rules *Rules) *Refusal {
	for at := range c.events {
		if refusal := c.decide(at, there, rules); refusal != nil {
			refusal.At = at
			return refusal
		}
	}
	return nil
}

// decide writes, skips or refuses one event.
func (c *Chunk) decide(at int, there map[uuid.UUID]Place, rules *Rules) *Refusal {
	e, h := &c.events[at], &c.heads[c.headOf[at]]
	if e.Version > h.next {
		return &Refusal{Reason: Hole, FirstMissing: h.next, Current: max(e.Version, h.Current)}
	}
	found, known := c.find(e.ID, there)
	here := known && found.Stream == e.Stream
	switch {
	case e.Version == 0 && here, e.Version != 0 && e.Version < h.next && here && found.Version == e.Version:
		return nil
	case e.Version != 0 && e.Version < h.next:
		return c.taken(e, h)
	case here && found.Version == e.Version:
		return &Refusal{Reason: Moved}
	case known:
		return &Refusal{Reason: IDTaken, Found: found}
	}
	return c.write(at, e, h, rules)
}

// find looks for an event in the store and among the rows before it.
func (c *Chunk) find(id uuid.UUID, there map[uuid.UUID]Place) (Place, bool) {
	if at, ok := c.rowOf[id]; ok {
		r := c.rows[at]
		return Place{c.events[r.event].Stream, r.version}, true
	}
	found, ok := there[id]
	return found, ok
}

// taken says where the event is that has the version.
func (c *Chunk) taken(e *Event, h *head) *Refusal {
	refusal := &Refusal{Reason: VersionTaken, InChunk: e.Version > h.Watermark}
	if refusal.InChunk {
		for _, r := range c.rows {
			if other := &c.events[r.event]; other.Stream == e.Stream && r.version == e.Version {
				refusal.Other = other.ID
			}
		}
	}
	return refusal
}

// write takes an event as the next of its stream.
func (c *Chunk) write(at int, e *Event, h *head, rules *Rules) *Refusal {
	switch {
	case h.Current > h.Watermark:
		return &Refusal{Reason: Hole, FirstMissing: h.Watermark + 1, Current: h.Current}
	case h.Tenant == "":
		h.Tenant = e.Tenant
		if e.Tenant == "" {
			h.Tenant = rules.DefaultTenant
		}
	case e.Tenant != "" && e.Tenant != h.Tenant:
		return &Refusal{Reason: OtherTenant, Tenant: h.Tenant}
	}
	if rules.KeepPartitions {
		if refusal := h.place(e, rules.Partitions); refusal != nil {
			return refusal
		}
	}
	c.rowOf[e.ID] = int32(len(c.rows))
	c.rows = append(c.rows, row{event: int32(at), version: h.next})
	h.next++
	return nil
}

// place heeds the partition that an event names.
func (h *head) place(e *Event, partitions int) *Refusal {
	switch {
	case e.Partition < 0 || e.Partition >= partitions:
		return &Refusal{Reason: NoPartition}
	case h.next == 1:
		h.Partition = int32(e.Partition)
	case int(h.Partition) != e.Partition:
		return &Refusal{Reason: OtherPartition, Partition: int(h.Partition)}
	}
	return nil
}
