package seal

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/keptrows"
)

// eachRecord hands the events of a range of positions to a function, in order, the first limit of them. The record is that of one call
// only.
func eachRecord(ctx context.Context, h eventstream.Handle, from, to int64, limit int32, do func(*Record)) error {
	keeper := &keptrows.Keeper{DBTX: h}
	_, err := db.New().SealEventList(ctx, keeper, db.SealEventListParams{FromPosition: from, ToPosition: to, PageSize: limit})
	if err != nil {
		return fmt.Errorf("read events %d to %d: %w", from, to, err)
	}
	defer keeper.Rows.Close()
	var s scanner
	for keeper.Rows.Next() {
		if err := s.scan(keeper.Rows); err != nil {
			return fmt.Errorf("read events %d to %d: %w", from, to, err)
		}
		do(&s.record)
	}
	if err := keeper.Rows.Err(); err != nil {
		return fmt.Errorf("read events %d to %d: %w", from, to, err)
	}
	return nil
}

// scanner reads a row into a record. What it holds in bytes is the connection's, until the next row.
type scanner struct {
	record                  Record
	occurred, recorded      pgtype.DriverBytes
	payload, data, metadata pgtype.DriverBytes
	kept                    [3]pgtype.DriverBytes // digests of payload, data and metadata before they were erased
}

func (s *scanner) scan(rows pgx.Rows) error {
	r := &s.record
	if err := rows.Scan(&r.Position, &r.Version, (*[16]byte)(&r.EventID), &s.occurred, &s.recorded, &r.PartitionID,
		(*string)(&r.StreamID), (*string)(&r.TenantID), (*string)(&r.Type), &s.payload, &s.data, &s.metadata,
		&s.kept[0], &s.kept[1], &s.kept[2]); err != nil {
		return err
	}
	r.OccurredAt, r.RecordedAt = timestampOf(s.occurred), timestampOf(s.recorded)
	if s.kept[0] != nil && s.isErased() {
		return s.takeKept()
	}
	r.Payload, r.Metadata, r.Data = ContentDigest(s.payload), ContentDigest(s.metadata), nil
	if s.data != nil {
		d := ContentDigest(s.data)
		r.Data = &d
	}
	return nil
}

// isErased reports whether the event holds nothing but the mark of an erased one. Kept digests stand for no other: who puts content back, or
// takes it away in another form, changes the event.
func (s *scanner) isErased() bool {
	return string(s.payload) == "null" && s.data == nil && string(s.metadata) == `{"$erased": true}`
}

// takeKept gives the record the digests that were kept when the event was erased.
func (s *scanner) takeKept() (err error) {
	r := &s.record
	if r.Payload, err = digestOf(s.kept[0]); err != nil {
		return err
	}
	if r.Metadata, err = digestOf(s.kept[2]); err != nil {
		return err
	}
	if r.Data = nil; s.kept[1] != nil {
		d, err := digestOf(s.kept[1])
		r.Data = &d
		return err
	}
	return nil
}
