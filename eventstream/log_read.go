package eventstream

import (
	"context"
	"iter"
	"strconv"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/internal/apart"
)

// pagesPerRead is how many times Config.PageSize a page of the log may grow to.
const pagesPerRead = 8

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
		cursor.readsAhead = r.onPool(r.handle)
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
