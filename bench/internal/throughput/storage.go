package throughput

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gaplesspg/gapless/bench/internal/database"
	"github.com/gaplesspg/gapless/bench/internal/report"
)

// minShare of the largest table in bytes leaves out tables that have nothing to do with the number of events.
const minShare = 0.01

// measureStorage takes the size on disk of the same events on both sides, in streams of ten.
func (b *benchmark) measureStorage(ctx context.Context) (err error) {
	if !b.wants(storageName) {
		return nil
	}
	s, drop, err := b.open(ctx, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, drop()) }()
	streams := max(b.sizes.storage/shortStream, 1)
	if err := s.Seed(ctx, streams, shortStream, b.sizes.growLimit); err != nil {
		return err
	}
	if _, err := s.Raw.Exec(ctx, `INSERT INTO bare.copied SELECT * FROM bare.events ORDER BY position`); err != nil {
		return err
	}
	if err := database.Vacuum(ctx, s.Raw); err != nil {
		return err
	}
	events := streams * shortStream
	t := report.Table{
		Title:   fmt.Sprintf("Bytes on disk per event, of %d events in streams of %d", events, shortStream),
		Columns: []string{"relation", "table", "indexes", "total"},
	}
	sizes, err := s.tableSizes(ctx)
	if err != nil {
		return err
	}
	for _, x := range sizes {
		per := func(bytes int64) string { return report.Number(float64(bytes)/float64(events), 0) }
		t.Add(x.name, per(x.total-x.indexes), per(x.indexes), per(x.total))
	}
	b.tables = append(b.tables, t)
	return nil
}

// tableSize is what a table takes on disk, with its TOAST and maps.
type tableSize struct {
	name           string
	total, indexes int64
}

// tableSizes gives those of all tables that grow with events, Gapless first and the largest first.
func (s *store) tableSizes(ctx context.Context) ([]tableSize, error) {
	tables, err := database.Tables(ctx, s.Raw)
	if err != nil {
		return nil, err
	}
	sizes := make([]tableSize, len(tables))
	largest := int64(0)
	for i, name := range tables {
		sizes[i].name = name
		err := s.Raw.QueryRow(ctx, `SELECT pg_total_relation_size($1::regclass), pg_indexes_size($1::regclass)`, name).
			Scan(&sizes[i].total, &sizes[i].indexes)
		if err != nil {
			return nil, fmt.Errorf("size of %s: %w", name, err)
		}
		largest = max(largest, sizes[i].total)
	}
	sizes = slices.DeleteFunc(sizes, func(x tableSize) bool { return float64(x.total) < minShare*float64(largest) })
	slices.SortStableFunc(sizes, func(a, b tableSize) int {
		if a.name[0] != b.name[0] {
			return int(b.name[0]) - int(a.name[0])
		}
		return int(b.total - a.total)
	})
	return sizes, nil
}
