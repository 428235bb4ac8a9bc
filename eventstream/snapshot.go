package eventstream

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// Snapshot is what somebody made of a stream's events up to one of them, as bytes that mean something to whoever made it. Package
// snapshot makes them of states; this is how they are kept.
type Snapshot struct {
	// StreamID is the stream that it is of.
	StreamID StreamID
	// Kind says what was made of the stream, and in which form.
	Kind SnapshotKind
	// Version is that of the last event in it, and EventID the identity of that event.
	Version int64
	EventID uuid.UUID
	// State is at most 128,000,000 bytes.
	State []byte
	// CreatedAt is when it was written, by the database's clock. SaveSnapshot does not look at it.
	CreatedAt time.Time
}

// SnapshotKind says which snapshots are meant: a stream has at most one of each name.
type SnapshotKind struct {
	// Name tells what was made of the stream; it follows the rule of StreamID.
	Name string
	// SchemaVersion is the form of the state, from 1: count it up when code that reads the old form would misunderstand the new one, or
	// the other way round. Snapshots of another form are ignored.
	SchemaVersion int
}

func (k SnapshotKind) validate() error {
	if !validName(k.Name) {
		return invalidValue("snapshot name", k.Name, nameRule)
	}
	if k.SchemaVersion < 1 || k.SchemaVersion > math.MaxInt32 {
		return invalidValue("snapshot schema version", strconv.Itoa(k.SchemaVersion), "from 1 to 2147483647")
	}
	return nil
}

func (s *Snapshot) validate() error {
	if err := errorsFirst(s.StreamID.Validate(), s.Kind.validate()); err != nil {
		return err
	}
	if s.Version < 1 {
		return invalidValue("snapshot version", strconv.FormatInt(s.Version, 10), "1 or more")
	}
	if len(s.State) > MaxDataBytes {
		return invalidValue("snapshot state", strconv.Itoa(len(s.State))+" bytes", "at most 128,000,000 bytes")
	}
	return nil
}

// SnapshotStatus says whether a snapshot was used, and if not, why.
type SnapshotStatus int

const (
	// SnapshotNone says that there is no snapshot of this name.
	SnapshotNone SnapshotStatus = iota
	// SnapshotUsed says that the stream was loaded on top of one.
	SnapshotUsed
	// SnapshotOtherSchema says that there is one, of another schema version.
	SnapshotOtherSchema
	// SnapshotContradicted says that there is one, and the stream does not have the event that it was made at: a failover or a restore lost
	// the end of the stream, or the row is another stream's.
	SnapshotContradicted
	// SnapshotDamaged says that there is one, and its state is not what was saved, or cannot be decoded.
	SnapshotDamaged
	// SnapshotPassedOver says that there is one, made after the event that was looked for (LoadOnSnapshotBefore).
	SnapshotPassedOver
)

var snapshotStatuses = [...]string{"none", "used", "other schema version", "contradicts the events", "damaged", "passed over"}

// String returns the status in words.
func (s SnapshotStatus) String() string {
	if s < 0 || int(s) >= len(snapshotStatuses) {
		return "SnapshotStatus(" + strconv.Itoa(int(s)) + ")"
	}
	return snapshotStatuses[s]
}

// FoundSnapshot is what LoadOnSnapshot found: the snapshot that the stream was loaded on, or why it was not.
type FoundSnapshot struct {
	// Status is SnapshotUsed, or why none was used.
	Status SnapshotStatus
	// Snapshot is the one that was used; its zero value if none was.
	Snapshot Snapshot
}

// ErrSnapshotContradicted matches a *SnapshotContradictedError.
var ErrSnapshotContradicted = errors.New("snapshot contradicts the events: load the stream again and make it anew")

// SnapshotContradictedError says that a snapshot was not saved, since its stream does not have the event that it was made at.
type SnapshotContradictedError struct {
	// StreamID and Name say which snapshot.
	StreamID StreamID
	Name     string
	// Version and EventID are what it was made at.
	Version int64
	EventID uuid.UUID
}

// Error names the snapshot and the event.
func (e *SnapshotContradictedError) Error() string {
	return fmt.Sprintf("snapshot %s of stream %s was made at event %s, which the stream does not have at version %d: load it again and make it anew",
		quote(e.Name), quote(string(e.StreamID)), e.EventID, e.Version)
}

// Is matches ErrSnapshotContradicted.
func (e *SnapshotContradictedError) Is(target error) bool { return target == ErrSnapshotContradicted }
