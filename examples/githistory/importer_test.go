package main

import (
	"context"
	"io"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/migrations"
)

type bundle struct {
	pool *pgxpool.Pool
	repo *eventstream.Repository
}

func setup(t *testing.T) *bundle {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), newDatabase(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	require.NoError(t, migrations.Up(t.Context(), pool, nil))
	repo, err := eventstream.NewRepository(pool, nil)
	require.NoError(t, err)
	return &bundle{pool: pool, repo: repo}
}

func (b *bundle) importer() *importer { return newImporter(b.repo, newProgress(io.Discard, 0)) }

func (b *bundle) importPath(t *testing.T, path string) totals {
	t.Helper()
	source, err := openRepository(t.Context(), path, false)
	require.NoError(t, err)
	done, err := b.importer().run(t.Context(), source.log)
	require.NoError(t, err)
	b.requireClean(t)
	return done
}

func (b *bundle) requireClean(t *testing.T) {
	t.Helper()
	findings, err := b.repo.Audit(t.Context())
	require.NoError(t, err)
	require.Empty(t, findings)
}

// query gives the first column of all rows.
func query[T any](t *testing.T, b *bundle, sql string, args ...any) []T {
	t.Helper()
	rows, err := b.pool.Query(t.Context(), sql, args...)
	require.NoError(t, err)
	values, err := pgx.CollectRows(rows, pgx.RowTo[T])
	require.NoError(t, err)
	return values
}

// given is a source of commits that are there already.
func given(commits ...commit) func(context.Context) iter.Seq2[commit, error] {
	return func(context.Context) iter.Seq2[commit, error] {
		return func(yield func(commit, error) bool) {
			for _, c := range commits {
				if !yield(c, nil) {
					return
				}
			}
		}
	}
}

func TestSecondImportChangesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	dir := syntheticRepo(t, 300, 40, 4, false)
	first := b.importPath(t, dir)
	require.Equal(t, 300, first.commits)
	require.Positive(t, first.appended)
	require.Zero(t, first.duplicates+first.conflicts+first.empty+first.split)
	events := query[int](t, b, `SELECT count(*) FROM eventstream.events`)
	require.Equal(t, []int{first.appended}, events)

	second := b.importPath(t, dir)
	require.Equal(t, totals{commits: 300, duplicates: first.appended}, second)
	require.Equal(t, events, query[int](t, b, `SELECT count(*) FROM eventstream.events`))
}

func TestImportGoesOnWhereTheRepositoryMovedOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	dir := newRepo(t)
	write(t, dir, map[string]string{"a": "1\n", "b": "1\n"})
	commitAll(t, dir, "one")
	require.Equal(t, totals{commits: 1, appended: 2}, b.importPath(t, dir))
	write(t, dir, map[string]string{"a": "", "c\n": "1\n"})
	commitAll(t, dir, "two")
	require.Equal(t, totals{commits: 2, appended: 2, duplicates: 2}, b.importPath(t, dir))

	stream, err := b.repo.Load(t.Context(), "file-a")
	require.NoError(t, err)
	types := []eventstream.EventType{}
	for _, e := range stream.EventsFrom(1) {
		types = append(types, e.Type)
	}
	require.Equal(t, []eventstream.EventType{"file.added", "file.deleted"}, types)
	require.Equal(t, []string{"c\n"}, query[string](t, b,
		`SELECT payload->>'path' FROM eventstream.events WHERE starts_with(stream_id, 'file-sha256:')`))
	require.Empty(t, query[string](t, b, `SELECT concat(payload, metadata) FROM eventstream.events
		WHERE payload::text ~* 'author|committer|example\.com' OR metadata <> '{}'`), "names and addresses are not stored")
}

// After a rebase the same files come with commits that were never seen.
func TestConflictIsMetWithTheActualVersion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	when := time.Unix(1_700_000_000, 0)
	one := commit{hash: hash1, time: when, files: []fileChange{{path: "a", change: added}, {path: "b", change: added}}}
	other := commit{hash: hash256, time: when, files: []fileChange{{path: "b", change: added}, {path: "c", change: added}}}
	_, err := b.importer().run(t.Context(), given(one))
	require.NoError(t, err)
	done, err := b.importer().run(t.Context(), given(other))
	require.NoError(t, err)
	require.Equal(t, totals{commits: 1, appended: 2, conflicts: 1}, done)
	b.requireClean(t)
}

func TestOtherContentIsExplained(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := commit{hash: hash1, time: time.Unix(1, 0), files: []fileChange{{path: "a", change: added, added: 1}}}
	_, err := b.importer().run(t.Context(), given(c))
	require.NoError(t, err)
	c.files = []fileChange{{path: "a", change: added, added: 2}}
	done, err := b.importer().run(t.Context(), given(c))
	require.ErrorIs(t, err, eventstream.ErrEventIDConflict)
	require.ErrorContains(t, err, "import into a new database")
	require.Zero(t, done.commits)
}

func TestLargeCommitIsSplit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	source, err := openRepository(t.Context(), syntheticRepo(t, 2, 25, 1, true), false)
	require.NoError(t, err)
	i := b.importer()
	i.maxEvents = 10
	done, err := i.run(t.Context(), source.log)
	require.NoError(t, err)
	require.Equal(t, 1, done.split)
	require.Equal(t, 26, done.appended)
	b.requireClean(t)
	again := b.importPath(t, source.dir)
	require.Equal(t, totals{commits: 2, duplicates: 26}, again, "parts of another size are found too")
}

// Interrupted anywhere, each commit is there whole or not at all, and the next import does the rest.
func TestInterruptionLeavesNothingHalfDone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	source, err := openRepository(t.Context(), syntheticRepo(t, 400, 60, 6, false), false)
	require.NoError(t, err)
	files := map[string]int{}
	for c, err := range source.log(t.Context()) {
		require.NoError(t, err)
		files[c.hash] = len(c.files)
	}
	for try := range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		stop := time.AfterFunc(time.Duration(try+1)*20*time.Millisecond, cancel)
		_, err := b.importer().run(ctx, source.log)
		if stop.Stop() {
			require.NoError(t, err)
		} else if err != nil {
			require.ErrorIs(t, err, context.Canceled)
			require.Equal(t, 130, exitCode(stopped(err, totals{})))
		}
		cancel()
		b.requireWhole(t, files)
	}
	done := b.importPath(t, source.dir)
	require.Equal(t, 400, done.commits)
	require.Len(t, b.requireWhole(t, files), len(files))
}

// requireWhole returns the commits that are there, after a check that none lacks a file.
func (b *bundle) requireWhole(t *testing.T, files map[string]int) []string {
	t.Helper()
	commits := query[string](t, b, `SELECT payload->>'commit' FROM eventstream.events`)
	counts := map[string]int{}
	for _, hash := range commits {
		counts[hash]++
	}
	for hash, count := range counts {
		require.Equal(t, files[hash], count, hash)
	}
	return slices.Compact(slices.Sorted(slices.Values(commits)))
}

func TestErrorOfTheSourceStopsTheImport(t *testing.T) {
	t.Parallel()
	b := setup(t)
	source := func(context.Context) iter.Seq2[commit, error] {
		return func(yield func(commit, error) bool) { yield(commit{}, errLog) }
	}
	_, err := b.importer().run(t.Context(), source)
	require.ErrorIs(t, err, errLog)
}

// The database fails while the reader has much more to give: the reader must not wait for ever.
func TestErrorOfTheDatabaseStopsTheReader(t *testing.T) {
	t.Parallel()
	b := setup(t)
	source, err := openRepository(t.Context(), syntheticRepo(t, 500, 50, 3, false), false)
	require.NoError(t, err)
	b.pool.Close()
	_, err = b.importer().run(t.Context(), source.log)
	require.Error(t, err)
	require.NotErrorIs(t, err, context.Canceled)
}
