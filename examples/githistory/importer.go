package main

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"golang.org/x/sync/errgroup"

	"github.com/gaplesspg/gapless/eventstream"
)

const (
	// ahead is how many commits are read before the database has taken them.
	ahead = 16
	// maxTries bounds how often one append is tried against streams that others move.
	maxTries = 5
)

// totals counts what an import did.
type totals struct {
	// commits counts all that were taken; empty those of them without files, and split those that took several appends.
	commits, empty, split int
	// appended and duplicates count events.
	appended, duplicates int
	// conflicts counts appends that met a stream at another version than the one known, and were tried again.
	conflicts int
}

// importer appends commits in their order, while the next ones are being read.
type importer struct {
	repo *eventstream.Repository
	// versions is where each stream stands, as far as this import has seen; a stream that is not in it counts as new.
	versions map[eventstream.StreamID]int64
	// maxEvents is how many files one append takes.
	maxEvents int
	progress  *progress
	totals    totals
}

func newImporter(repo *eventstream.Repository, p *progress) *importer {
	return &importer{
		repo:      repo,
		versions:  make(map[eventstream.StreamID]int64),
		maxEvents: eventstream.MaxEventsPerCall,
		progress:  p,
	}
}

// batch is a commit on its way from the reader to the database.
type batch struct {
	hash     string
	requests []eventstream.AppendRequest
}

// run imports what source gives. With an error, the totals say how far it came.
func (i *importer) run(ctx context.Context, source func(context.Context) iter.Seq2[commit, error]) (totals, error) {
	group, groupCtx := errgroup.WithContext(ctx)
	batches := make(chan batch, ahead)
	group.Go(func() error {
		defer close(batches)
		return read(groupCtx, source(groupCtx), batches)
	})
	group.Go(func() error {
		for b := range batches {
			if err := i.take(groupCtx, b); err != nil {
				return fmt.Errorf("commit %s: %w", b.hash, err)
			}
		}
		return nil
	})
	err := group.Wait()
	i.progress.done(i.totals)
	// Whatever else failed because of it, an interruption is an interruption.
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return i.totals, err
}

// read turns commits into appends until there are no more or ctx ends.
func read(ctx context.Context, commits iter.Seq2[commit, error], batches chan<- batch) error {
	for c, err := range commits {
		if err != nil {
			return err
		}
		requests, err := appendRequests(c)
		if err != nil {
			return err
		}
		select {
		case batches <- batch{hash: c.hash, requests: requests}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}

// take appends one commit. One with more files than an append may have is split: its parts are atomic each, and an import
// that ends between them goes on with the missing ones the next time.
func (i *importer) take(ctx context.Context, b batch) error {
	for rest := b.requests; len(rest) > 0; {
		part := rest[:min(len(rest), i.maxEvents)]
		rest = rest[len(part):]
		if err := i.append(ctx, part); err != nil {
			return err
		}
	}
	i.totals.commits++
	if len(b.requests) == 0 {
		i.totals.empty++
	}
	if len(b.requests) > i.maxEvents {
		i.totals.split++
		i.progress.note("commit %s touches %d files: appended in parts of %d", b.hash, len(b.requests), i.maxEvents)
	}
	i.progress.update(i.totals)
	return nil
}

// append appends to all streams at once, each at the version that it is known to have. A conflict means that the stream was
// there before this import saw it, as after a rebase, or that another import is at work: the database says where it stands.
func (i *importer) append(ctx context.Context, requests []eventstream.AppendRequest) error {
	for try := 1; ; try++ {
		for n := range requests {
			requests[n].Expected = eventstream.Exact(i.versions[requests[n].StreamID])
		}
		results, err := i.repo.AppendMany(ctx, requests...)
		if err == nil {
			i.count(requests, results)
			return nil
		}
		if try == maxTries || !i.learn(err) {
			return explain(err)
		}
		i.totals.conflicts++
	}
}

func (i *importer) count(requests []eventstream.AppendRequest, results []eventstream.AppendResult) {
	for n, result := range results {
		i.versions[requests[n].StreamID] = result.CurrentVersion
		if result.Duplicate {
			i.totals.duplicates++
		} else {
			i.totals.appended++
		}
	}
}

// learn takes over the versions that a refusal reports, and says whether another try can succeed.
func (i *importer) learn(err error) bool {
	var refused *eventstream.BatchError
	if !errors.As(err, &refused) {
		return false
	}
	for _, request := range refused.Refused {
		var conflict *eventstream.VersionConflictError
		if !errors.As(request.Err, &conflict) {
			return false
		}
		i.versions[conflict.StreamID] = conflict.Actual
	}
	return true
}

// explain adds what a user cannot know about an event that is there with other content.
func explain(err error) error {
	if errors.Is(err, eventstream.ErrEventIDConflict) {
		return fmt.Errorf("the database holds this commit otherwise than git reports it now (imported from a shallow clone, or "+
			"with other git attributes): import into a new database: %w", err)
	}
	return err
}
