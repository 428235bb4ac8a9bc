package main

import (
	"context"
	"errors"
	"fmt"
)

// relation is what a table takes on disk.
type relation struct {
	name           string
	table, indexes float64 // bytes per event; the table with its TOAST and maps
}

func (r relation) total() float64 { return r.table + r.indexes }

// storedRelations are the tables that hold the events of the store whose size is taken.
var storedRelations = [...]string{"eventstream.events", "eventstream.streams", "bare.events", "bare.copied"}

// measureStorage takes the size on disk of the same events on both sides, in streams of ten.
func (b *benchmark) measureStorage(ctx context.Context, r *report) (err error) {
	if !b.wants(storageName) {
		return nil
	}
	s, drop, err := b.databases.open(ctx, 1, b.options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, drop()) }()
	streams := max(b.sizes.storage/shortStream, 1)
	if err := s.seed(ctx, streams, shortStream); err != nil {
		return err
	}
	r.stored = streams * shortStream
	if _, err := s.raw.Exec(ctx, `INSERT INTO bare.copied SELECT * FROM bare.events ORDER BY position`); err != nil {
		return err
	}
	if _, err := s.raw.Exec(ctx, analyze); err != nil {
		return err
	}
	for _, name := range storedRelations {
		one, err := s.size(ctx, name, r.stored)
		if err != nil {
			return fmt.Errorf("size of %s: %w", name, err)
		}
		r.storage = append(r.storage, one)
	}
	return nil
}

func (s *store) size(ctx context.Context, name string, events int) (relation, error) {
	var total, indexes int64
	err := s.raw.QueryRow(ctx, `SELECT pg_total_relation_size($1::regclass), pg_indexes_size($1::regclass)`, name).
		Scan(&total, &indexes)
	return relation{name: name, table: float64(total-indexes) / float64(events), indexes: float64(indexes) / float64(events)}, err
}
