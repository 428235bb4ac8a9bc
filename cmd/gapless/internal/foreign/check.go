package foreign

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
)

const (
	// maxRemembered is how many streams, and how many ids, a dry run remembers: some 100 MiB. What comes after is judged without them.
	maxRemembered = 1_500_000
	// checkEvents and checkBytes bound what is looked up in the store at once.
	checkEvents = 5000
	checkBytes  = 4 << 20
)

// digest stands for a name in memory.
type digest [16]byte

func digestOf(name string) digest {
	sum := sha256.Sum256([]byte(name))
	return digest(sum[:16])
}

// standing is how far a stream has come.
type standing struct {
	version int64
	tenant  int32
}

// check is one dry run.
type check struct {
	pool    *pgxpool.Pool
	report  *Report
	streams map[digest]standing
	ids     map[uuid.UUID]uint32
	tenants map[eventstream.TenantID]int32
	names   []eventstream.TenantID
	batch   []eventstream.Event
	bytes   int
}

// Check goes through a history and says what an import would do; it writes nothing. seen is called now and then with how many events were read.
func Check(ctx context.Context, pool *pgxpool.Pool, source Source, seen func(n int64)) (*Report, error) {
	c := &check{
		pool: pool, report: &Report{Types: map[string]int64{}, Refused: []Refusal{}, Complete: true}, streams: map[digest]standing{},
		ids: map[uuid.UUID]uint32{}, tenants: map[eventstream.TenantID]int32{},
	}
	n := int64(0)
	for event, err := range source.Events(ctx) {
		if n++; n%256 == 0 {
			seen(n)
		}
		if err == nil {
			if refused := Judge(&event); refused != nil {
				err = refused
			}
		}
		if refused, ok := errors.AsType[*Refused](err); ok {
			c.report.refuse(refused)
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := c.add(ctx, event); err != nil {
			return nil, err
		}
	}
	seen(n)
	err := c.flush(ctx)
	c.report.LeftOut = source.LeftOut()
	return c.report, err
}

func (c *check) add(ctx context.Context, e eventstream.Event) error {
	c.bytes += len(e.Payload) + len(e.Data) + len(e.Metadata)
	e.Payload, e.Data, e.Metadata = nil, nil, nil // they were judged
	c.batch = append(c.batch, e)
	if len(c.batch) < checkEvents && c.bytes < checkBytes {
		return nil
	}
	return c.flush(ctx)
}

// flush judges a batch by what the store has and by what came before.
func (c *check) flush(ctx context.Context) error {
	if len(c.batch) == 0 {
		return nil
	}
	if err := c.lookUpStreams(ctx); err != nil {
		return err
	}
	found, err := c.lookUpEvents(ctx)
	if err != nil {
		return err
	}
	for i := range c.batch {
		e := &c.batch[i]
		if refused := c.judge(e, found); refused != nil {
			c.report.refuse(refused)
			continue
		}
		c.report.count(e)
	}
	c.batch, c.bytes = c.batch[:0], 0
	return nil
}

// judge follows the rules of Repository.Import.
func (c *check) judge(e *eventstream.Event, found storedEvents) *Refused {
	where := whereIs(string(e.StreamID), e.Version)
	place, there := found.byID[e.ID]
	switch {
	case there && (place.stream != e.StreamID || e.Version > 0 && place.version != e.Version):
		return refusef(Conflict, where, "its id %s is in the store, as version %d of stream %q", e.ID, place.version, place.stream)
	case !there:
		if other, taken := found.byVersion[versionOf{e.StreamID, e.Version}]; taken && e.Version > 0 {
			return refusef(Conflict, where, "the store has another event there, of id %s", other)
		}
	}
	again, refused := c.remember(e, where)
	if refused != nil {
		return refused
	}
	if there || again {
		c.report.There++
	}
	return c.follow(e, where, there || again)
}

// follow judges an event by those before it in its stream.
func (c *check) follow(e *eventstream.Event, where string, there bool) *Refused {
	at := digestOf(string(e.StreamID))
	stand, known := c.streams[at]
	if !known {
		return nil // of a history with more streams than are remembered
	}
	if tenant := c.tenantOf(e.TenantID); e.TenantID != "" && stand.tenant >= 0 && tenant != stand.tenant {
		return refusef(OtherTenant, where, "tenant %q, and the stream is of tenant %q: a stream is one tenant's", e.TenantID, c.names[stand.tenant])
	}
	if stand.tenant < 0 {
		stand.tenant = c.tenantOf(orDefault(e.TenantID))
	}
	defer func() { c.streams[at] = stand }()
	switch {
	case there:
	case e.Version == 0:
		stand.version++
	case e.Version > stand.version+1:
		missing := stand.version + 1
		stand.version = e.Version // one hole is one refusal, as all that comes after it would be
		return refusef(Hole, where, "version %d is missing before it, or comes later: bring the events in order, or number them anew with --renumber", missing)
	case e.Version <= stand.version:
		return refusef(Disorder, where, "it comes after version %d of its stream: bring the events in order", stand.version)
	default:
		stand.version = e.Version
	}
	return nil
}

func orDefault(id eventstream.TenantID) eventstream.TenantID {
	if id == "" {
		return eventstream.DefaultTenant
	}
	return id
}

func (c *check) tenantOf(id eventstream.TenantID) int32 {
	at, known := c.tenants[id]
	if !known {
		at = int32(len(c.names))
		c.tenants[id], c.names = at, append(c.names, id)
	}
	return at
}

// remember refuses an id that came before, unless it is the same event: exports that were put together overlap.
func (c *check) remember(e *eventstream.Event, where string) (again bool, refused *Refused) {
	at := digestOf(fmt.Sprintf("%d %s", e.Version, e.StreamID))
	place := binary.BigEndian.Uint32(at[:])
	if before, twice := c.ids[e.ID]; twice {
		if before == place {
			return true, nil
		}
		return false, refusef(IDTwice, where, "its id %s is that of an event before it", e.ID)
	}
	if len(c.ids) < maxRemembered {
		c.ids[e.ID] = place
	} else {
		c.report.Complete = false
	}
	return false, nil
}
