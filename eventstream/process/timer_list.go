package process

import (
	"context"
	"iter"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/isolation"
)

// List gives the timers of a process that have not fired, parked ones included, in order of key and name. An error comes once, as the last
// pair.
func List(ctx context.Context, repo *eventstream.Repository, process string) iter.Seq2[Timer, error] {
	return func(yield func(Timer, error) bool) {
		c, err := coreOf(repo)
		if err != nil {
			yield(Timer{}, err)
			return
		}
		size := c.Settings().PageSize
		for after := (TimerRef{}); ; {
			rows, err := db.New().TimerList(ctx, c.Handle(), db.TimerListParams{
				Process: process, AfterKey: after.Key, AfterName: after.Name, PageSize: int32(size),
			})
			if err != nil {
				yield(Timer{}, c.ExplainRead(err))
				return
			}
			for _, row := range rows {
				t := listed(process, row)
				if !yield(t, nil) {
					return
				}
				after = t.TimerRef
			}
			if len(rows) < size {
				return
			}
		}
	}
}

func listed(process string, row db.TimerListRow) Timer {
	t := Timer{
		TimerRef: TimerRef{Process: process, Key: row.Key, Name: row.Name},
		ID:       row.TimerID, DueAt: row.DueAt.UTC(), SetAt: row.SetAt.UTC(), NextAt: row.NextAt.UTC(),
		Tries: int(row.Tries), Payload: row.Payload, LastError: row.LastError,
	}
	if row.ParkedAt != nil {
		t.ParkedAt = row.ParkedAt.UTC()
	}
	return t
}

// Retry lets a timer that is parked be tried again at once, with as many tries as at first, and says whether there was one.
func Retry(ctx context.Context, repo *eventstream.Repository, ref TimerRef) (bool, error) {
	c, err := coreOf(repo)
	if err != nil {
		return false, err
	}
	found := false
	err = isolation.OrReadCommitted(ctx, c.Handle(), func(h db.DBTX) (err error) {
		found, err = db.New().TimerRetry(ctx, h, db.TimerRetryParams{Process: ref.Process, Key: ref.Key, Name: ref.Name})
		return err
	})
	return found, explain(c, err)
}
