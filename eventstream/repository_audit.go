package eventstream

import (
	"context"
	"encoding/json"
	"math"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/db"
)

// Severity says how bad a finding of the audit is.
type Severity string

const (
	// SeverityError is damage.
	SeverityError Severity = "error"
	// SeverityWarning is what somebody should look at, and no damage: a hole that events wait behind, a clock that went back, a function that
	// somebody added to the schema.
	SeverityWarning Severity = "warning"
)

// AuditFinding is one thing that is wrong with the store.
type AuditFinding struct {
	// Check is the view that found it, without its prefix audit_: triggers, privileges, gaps, order, tenants, partitions, values, pending,
	// sequences, seals, clocks, checkpoints, subject_keys.
	Check string
	// Severity says whether something is damaged.
	Severity Severity
	// StreamID is the stream concerned; empty if it is not about one.
	StreamID StreamID
	// Version is the version concerned; 0 if it is not about one.
	Version int64
	// Detail is the row of the view, as a JSON object.
	Detail json.RawMessage
}

// PartitionStat is what one partition holds, by the heads of its streams.
type PartitionStat struct {
	// Partition is the partition.
	Partition PartitionKey
	// Streams is the number of streams in it.
	Streams int64
	// Events is the number of events that readers see.
	Events int64
	// Behind is by how many versions the watermarks lag behind, summed over streams with a hole.
	Behind int64
	// LastPosition is the highest position in it.
	LastPosition int64
}

// Audit lets the database check every promise over all that it stores, and returns what is wrong: nothing means clean. It
// reads the tables whole, a few seconds for a million events, and locks nothing. SELECT * FROM eventstream.audit() is the same.
func (r *Repository) Audit(ctx context.Context) ([]AuditFinding, error) {
	rows, err := r.queries.AuditList(ctx, r.handle)
	if err != nil {
		return nil, mapError(err)
	}
	findings := make([]AuditFinding, len(rows))
	for i, row := range rows {
		findings[i] = findingOf(row)
	}
	return findings, nil
}

// RunAudit is Audit from the last clean one on: it checks what was written since then, and all that does not grow with the log, and puts that on
// record in table eventstream.audit_runs. The first time, and if full, it checks everything, every sealed block included. It moves the stable
// position first, which is as far as an audit goes. It needs EXECUTE on run_audit and advance_stable_position, which writers do not have; on a
// standby, and in a read-only transaction, nothing is recorded.
func (r *Repository) RunAudit(ctx context.Context, full bool) ([]AuditFinding, error) {
	if err := r.forAllTenants("an audit on record"); err != nil {
		return nil, err
	}
	if _, err := r.queries.LogAdvance(ctx, r.handle, 0); err != nil {
		return nil, mapError(err)
	}
	rows, err := r.queries.RunAudit(ctx, r.handle, full)
	if err != nil {
		return nil, mapError(err)
	}
	findings := make([]AuditFinding, len(rows))
	for i, row := range rows {
		findings[i] = findingOf(db.AuditListRow(row))
	}
	return findings, nil
}

// AuditRun is an audit on record.
type AuditRun struct {
	// Run is its number, and Since that of the clean one that it went on from; 0 if it read everything.
	Run, Since int64
	// StartedAt and FinishedAt are when it was.
	StartedAt, FinishedAt time.Time
	// Position is how far in the log it went.
	Position int64
	// Errors and Warnings are how much it found.
	Errors, Warnings int64
	// By is the database user who ran it.
	By string
}

// AuditRuns returns the newest audits on record, the newest first, limit of them at most.
func (r *Repository) AuditRuns(ctx context.Context, limit int) ([]AuditRun, error) {
	if limit < 1 || limit > math.MaxInt32 {
		return nil, invalidValue("limit", strconv.Itoa(limit), "from 1 to 2147483647")
	}
	rows, err := r.queries.AuditRunList(ctx, r.handle, int32(limit))
	if err != nil {
		return nil, mapError(err)
	}
	runs := make([]AuditRun, len(rows))
	for i, row := range rows {
		runs[i] = AuditRun{
			Run: row.Run, Since: row.SinceRun, StartedAt: row.StartedAt, FinishedAt: row.FinishedAt, Position: row.Position,
			Errors: row.Errors, Warnings: row.Warnings, By: row.RunBy,
		}
	}
	return runs, nil
}

func findingOf(row db.AuditListRow) AuditFinding {
	return AuditFinding{
		Check: row.CheckName, Severity: Severity(row.Severity), StreamID: StreamID(row.StreamID), Version: row.Version, Detail: row.Detail,
	}
}

// VerifyGapless checks one stream in the database: that its events run 1, 2, 3 ... up to its last one. It returns nil if so, a
// *GapError with the first missing version if not, and a *StreamNotFoundError for a stream that is not there. Nothing in a stream says that
// it was longer once: a tail that somebody removed is for Audit to find, in the numbers of the log.
func (r *Repository) VerifyGapless(ctx context.Context, id StreamID) error {
	if err := id.Validate(); err != nil {
		return err
	}
	row, err := r.queries.StreamVerify(ctx, r.handle, string(id))
	if err != nil {
		return notFound(err, &StreamNotFoundError{StreamID: id})
	}
	if row.FirstMissing > 0 {
		return &GapError{StreamID: id, FirstMissing: row.FirstMissing, CurrentVersion: row.CurrentVersion}
	}
	return nil
}

// PartitionStats returns what each partition holds, for those that hold a stream, by reading the first event of each stream.
func (r *Repository) PartitionStats(ctx context.Context) ([]PartitionStat, error) {
	count, err := r.partitionCount(ctx, r.handle)
	if err != nil {
		return nil, err
	}
	rows, err := r.queries.PartitionStats(ctx, r.handle)
	if err != nil {
		return nil, mapError(err)
	}
	stats := make([]PartitionStat, len(rows))
	for i, row := range rows {
		stats[i] = PartitionStat{
			Partition: PartitionKey{ID: int(row.PartitionID), Count: count},
			Streams:   row.Streams, Events: row.Events, Behind: row.Behind, LastPosition: row.LastPosition,
		}
	}
	return stats, nil
}

// KnownType is a type of events that a program can read, in some schema versions.
type KnownType struct {
	// Type is the name of the type.
	Type EventType
	// Oldest and Newest are the schema versions that can be read, these included. An event whose metadata have no schema_version has 1, and one
	// whose schema_version cannot be one has 0.
	Oldest, Newest int
}

// UnknownType is what a store holds of a type and schema version that a program cannot read.
type UnknownType struct {
	// Type and SchemaVersion are what the events have in common.
	Type          EventType
	SchemaVersion int
	// Events is how many there are.
	Events int64
	// EventID, StreamID and Version are the first of them in the log.
	EventID  uuid.UUID
	StreamID StreamID
	Version  int64
}

// UnknownTypes returns the types and schema versions of all events that are not among the known ones, in order of their names; see package
// codec, which knows those of a program. It reads the whole table, unless it has the index events_type_schema_idx that docs/modelling.md shows.
func (r *Repository) UnknownTypes(ctx context.Context, known ...KnownType) ([]UnknownType, error) {
	p := db.EventListUnknownTypesParams{
		Types: make([]string, len(known)), Oldest: make([]int32, len(known)), Newest: make([]int32, len(known)),
	}
	for i, k := range known {
		if err := k.validate(); err != nil {
			return nil, err
		}
		p.Types[i], p.Oldest[i], p.Newest[i] = string(k.Type), int32(k.Oldest), int32(k.Newest)
	}
	rows, err := r.queries.EventListUnknownTypes(ctx, r.handle, p)
	if err != nil {
		return nil, mapError(err)
	}
	unknown := make([]UnknownType, len(rows))
	for i, row := range rows {
		unknown[i] = UnknownType{
			Type: EventType(row.Type), SchemaVersion: int(row.SchemaVersion), Events: row.Events,
			EventID: row.EventID, StreamID: StreamID(row.StreamID), Version: row.Version,
		}
	}
	return unknown, nil
}

func (k KnownType) validate() error {
	if err := k.Type.Validate(); err != nil {
		return err
	}
	for _, version := range []int{k.Oldest, k.Newest} {
		if version < 0 || version > math.MaxInt32 {
			return invalidValue("schema version of "+string(k.Type), strconv.Itoa(version), "from 0 to 2147483647")
		}
	}
	return nil
}
