package eventstream

import (
	"context"
	"iter"
	"strconv"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/internal/apart"
	"github.com/gaplesspg/gapless/internal/isolation"
	"github.com/gaplesspg/gapless/internal/logend"
)

// insufficientPrivilege is the SQLSTATE for what a role may not do.
const insufficientPrivilege = "42501"

// LogOptions selects a part of the log. The zero value is all of it, upwards.
type LogOptions struct {
	// From is where reading starts, the event there included. Default: nil, which is FromBeginning, or FromLatest if Backwards:
	// with the last event there is.
	From Start
	// Filter selects events. Default: everything.
	Filter LogFilter
	// Limit ends the reading after so many events. Default: 0, which is no limit.
	Limit int
	// Backwards reads downwards, from newer to older. Default: false.
	Backwards bool
}

// LogHead is how far the log can be read.
type LogHead struct {
	// Position is the stable position: no event at or below it can still appear.
	Position int64
	// Sequence is the number of the last event up to there: how many there are. 0 in a repository for a tenant.
	Sequence int64
}

// ReadLog goes through the events of all streams in the one order of the log, up to the stable position of the moment it begins,
// numbered. It reads in pages whose size adapts, up to 8 times Config.PageSize and 4 MiB, within Config.MaxReadBytes: memory stays bounded,
// whatever the sizes of events, no transaction is held, and the loop's body may use the same connection. On a pool, the next page is read
// meanwhile; leaving the loop cancels that. On a standby it goes as far as the replicated stable position, and in a transaction (WithTx) with one
// snapshot for all of its statements as far as the one that was kept by then.
//
// An error comes once, as the last pair: an *InvalidValueError for bad options, a *BeyondLogError for a start that the log has
// not reached. Only an *UnreadableEventError is not the last: it comes in the place of its event, and a loop that goes on gets those after it,
// except in a transaction, which the server's error ends. A filter that selects little needs an index to be fast: docs/subscriptions.md lists them.
func (r *Repository) ReadLog(ctx context.Context, opts LogOptions) iter.Seq2[LogEvent, error] {
	return func(yield func(LogEvent, error) bool) {
		cursor, err := r.OpenLog(ctx, opts)
		if err != nil {
			yield(LogEvent{}, err)
			return
		}
		defer cursor.Close()
		cursor.ahead.may = r.onPool(r.handle)
		for atEnd := false; !atEnd; {
			var events []LogEvent
			events, atEnd, err = cursor.Next(ctx, 0)
			if unreadable := asUnreadable(err); unreadable != nil {
				if !yield(LogEvent{Event: unreadable.Event}, unreadable) {
					return
				}
				continue
			}
			if err != nil {
				yield(LogEvent{}, err)
				return
			}
			for i := range events {
				if !yield(events[i], nil) {
					return
				}
			}
		}
	}
}

// LogHead says how far the log can be read, and how many events that is.
func (r *Repository) LogHead(ctx context.Context) (LogHead, error) {
	position, err := r.logEnd(ctx, r.handle, true)
	if err != nil || r.tenant != "" {
		return LogHead{Position: position}, mapError(err)
	}
	sequence, err := r.queries.LogSequenceAt(ctx, r.handle, position)
	return LogHead{Position: position, Sequence: sequence}, mapError(err)
}

// openLogOn is openLog, on a pool by one of its connections, which the pages remember.
func (r *Repository) openLogOn(ctx context.Context, h Handle, opts LogOptions) (*logPages, error) {
	if !r.onPool(h) {
		return r.openLog(ctx, h, opts)
	}
	conn, err := r.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	pages, err := r.openLog(ctx, r.bind(conn), opts)
	if err == nil {
		pages.same.Add(conn.Conn())
	}
	return pages, err
}

// openLog checks options, and finds the range of positions to read.
func (r *Repository) openLog(ctx context.Context, h Handle, opts LogOptions) (*logPages, error) {
	partitions, err := r.partitionCount(ctx, h)
	if err != nil {
		return nil, err
	}
	filter, err := r.logFilter(opts.Filter, partitions)
	if err != nil {
		return nil, err
	}
	if opts.Limit < 0 {
		return nil, invalidValue("LogOptions.Limit", strconv.Itoa(opts.Limit), "0 or more")
	}
	// Who begins with the first event meets what has no marks in order, and counts it on the way.
	begins := !opts.Backwards && (opts.From == nil || opts.From == FromBeginning)
	stable, err := r.logEnd(ctx, h, !begins)
	if err != nil {
		return nil, mapError(err)
	}
	p := newLogPages(filter, opts.Backwards, 0, stable, pagesPerRead*r.config.PageSize)
	p.numbers.off = r.tenant != ""
	if opts.From == nil {
		return p, nil
	}
	if err := errorsFirst(opts.From.validate(partitions), r.checkStart(opts.From)); err != nil {
		return nil, err
	}
	at, err := r.resolveStart(ctx, h, opts.From, stable)
	if err != nil {
		return nil, err
	}
	if opts.Backwards {
		p.until, err = r.lastPosition(ctx, h, opts.From, at, stable)
		return p, err
	}
	p.after, p.apart = at.position-1, at.apart
	p.skipTo(partitions)
	return p, nil
}

// onPool says that a handle is the repository's pool, where further connections are to be had.
func (r *Repository) onPool(h Handle) bool {
	return r.pool != nil && unboundHandle(h) == Handle(r.pool)
}

// logStart is the position that a start stands for, and where partitions start that start further on.
type logStart struct {
	position int64
	apart    apart.Positions
}

// resolveStart finds the position of a start.
func (r *Repository) resolveStart(ctx context.Context, h Handle, from Start, stable int64) (logStart, error) {
	row, err := r.queries.LogResolveStart(ctx, h, db.LogResolveStartParams{Start: startJSON(from), Stable: stable})
	if err != nil {
		return logStart{}, mapError(err)
	}
	ahead, err := apart.Parse(row.PartitionPositions)
	return logStart{position: row.Checkpoint + 1, apart: ahead}, err
}

// lastPosition is where reading backwards begins: with the event that a start stands for, which is not always at the first position
// from which it comes next.
func (r *Repository) lastPosition(ctx context.Context, h Handle, from Start, at logStart, stable int64) (int64, error) {
	sequence := int64(0)
	switch s := from.(type) {
	case startPartitions:
		return 0, invalidValue("LogOptions.From", "FromPartitionSequences", "another start, to read backwards")
	case startAfter:
		return 0, invalidValue("LogOptions.From", "After", "another start, to read backwards")
	case startNumber:
		if s.field == startSequence {
			sequence = s.n
		}
	case startWord:
		if s == FromBeginning {
			sequence = 1
		}
	}
	if sequence == 0 {
		return min(at.position, stable), nil
	}
	position, err := r.queries.LogPositionOfSequence(ctx, h, db.LogPositionOfSequenceParams{Sequence: sequence, Stable: stable})
	return position, mapError(err)
}

// logPages reads a range of the log, from after, exclusive, to until, page by page.
type logPages struct {
	after, until int64
	apart        apart.Positions
	size         pageSize
	numbers      numberer
	// unreadable is an event that was met and is not passed yet.
	unreadable *UnreadableEventError
	// same knows the connections that go to the log that is read.
	same logend.Same
	// position and id are of the last event that was read; 0 before the first.
	position int64
	id       uuid.UUID
}

func newLogPages(filter LogFilter, backwards bool, after, until int64, most int) *logPages {
	return &logPages{
		after: after, until: until,
		size:    pageSize{most: most},
		numbers: numberer{filter: filter, backwards: backwards},
	}
}

// skipTo leaves out what comes before the first event of every partition that is read.
func (p *logPages) skipTo(partitions int) {
	if len(p.apart) == 0 {
		return
	}
	read := p.numbers.filter.Partitions
	if len(read) == 0 {
		read = make([]int, partitions)
		for i := range read {
			read[i] = i
		}
	}
	first := p.until
	for _, partition := range read {
		first = min(first, p.apart[partition])
	}
	p.after = max(p.after, first)
}

func (p *logPages) atEnd() bool { return p.after >= p.until }

// next reads the next page, of so many events and bytes at most, and moves on over the positions that it covered. After an
// *UnreadableEventError it goes on behind that event.
func (p *logPages) next(ctx context.Context, r *Repository, h Handle, limit int, bytes int64, buffer []LogEvent) ([]LogEvent, error) {
	h, release, err := p.on(ctx, r, h)
	if err != nil || p.atEnd() {
		return nil, err
	}
	defer release()
	for {
		size := p.size.next(limit)
		window := min(p.size.window, p.until-p.after)
		wanted := pageWanted{after: p.after, until: p.after + window, size: size, bytes: bytes, large: p.size.large > 0}
		if p.numbers.backwards {
			wanted.after, wanted.until = p.until-window, p.until
		}
		if p.clip(&wanted) {
			return nil, p.pass()
		}
		var events []LogEvent
		var end pageEnd
		err := isolation.OrReadCommitted(ctx, h, func(h db.DBTX) (err error) {
			events, end, err = r.logPage(ctx, h, wanted, &p.numbers, buffer)
			return err
		})
		if err != nil {
			p.unreadable, err = r.unreadableInLog(ctx, h, wanted, &p.numbers, err)
			return nil, err // without one, the next page ends before the event that cannot be read
		}
		p.read(events)
		p.size.adapt(len(events), end, window < p.until-p.after, bytesOf(events), bytes)
		if end == endAtLarge && len(events) == 0 {
			continue // the first one is large, and now comes with the page
		}
		p.moveOn(wanted, events, end)
		return dropBefore(events, p.apart), nil
	}
}

// moveOn leaves behind what a page covered.
func (p *logPages) moveOn(wanted pageWanted, events []LogEvent, end pageEnd) {
	switch backwards := p.numbers.backwards; {
	case backwards && end != endOfRange:
		p.until = events[len(events)-1].Position - 1
	case backwards:
		p.until = wanted.after
	case end != endOfRange:
		p.after = events[len(events)-1].Position
	default:
		p.after = wanted.until
	}
}
