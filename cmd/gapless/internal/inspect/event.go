package inspect

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const (
	// maxText is how many characters of a JSON text a page takes, and maxHead how many bytes of binary data.
	maxText, maxHead = 200_000, 256
)

// eventRow is an event, with as much of it as a page shows.
type eventRow struct {
	Position     int64     `db:"position"`
	Version      int64     `db:"version"`
	EventID      string    `db:"event_id"`
	StreamID     string    `db:"stream_id"`
	TenantID     string    `db:"tenant_id"`
	PartitionID  int       `db:"partition_id"`
	Type         string    `db:"type"`
	OccurredAt   time.Time `db:"occurred_at"`
	RecordedAt   time.Time `db:"recorded_at"`
	PayloadSize  int64     `db:"payload_size"`
	PayloadText  string    `db:"payload_text"`
	MetadataSize int64     `db:"metadata_size"`
	MetadataText string    `db:"metadata_text"`
	DataSize     int64     `db:"data_size"`
	DataHead     []byte    `db:"data_head"`
	Correlation  string    `db:"correlation"`
	Causation    string    `db:"causation"`
}

// The keys are those of this library's documentation, and those of histories that came from elsewhere.
const (
	correlationKey = `coalesce(e.metadata ->> 'correlation_id', e.metadata ->> 'correlationId', e.metadata ->> '$correlationId', '')`
	causationKey   = `coalesce(e.metadata ->> 'causation_id', e.metadata ->> 'causationId', e.metadata ->> '$causationId', '')`
)

const eventQuery = `
SELECT
    e.position, e.version, e.event_id::text, e.stream_id, e.tenant_id, e.partition_id, e.type, e.occurred_at, e.recorded_at,
    p.size AS payload_size, p.text AS payload_text, m.size AS metadata_size, m.text AS metadata_text,
    coalesce(octet_length(e.data), -1)::bigint AS data_size, coalesce(substring(e.data FOR $3), '') AS data_head,
    left(` + correlationKey + `, 200) AS correlation, left(` + causationKey + `, 200) AS causation
FROM eventstream.events AS e
CROSS JOIN LATERAL (
    SELECT octet_length(t.text)::bigint AS size, left(t.text, $2) AS text FROM (SELECT e.payload::text AS text OFFSET 0) AS t
) AS p
CROSS JOIN LATERAL (
    SELECT octet_length(t.text)::bigint AS size, left(t.text, $2) AS text FROM (SELECT e.metadata::text AS text OFFSET 0) AS t
) AS m
WHERE e.position = $1 AND ($4 = '' OR e.tenant_id = $4)`

// eventView is the page of an event.
type eventView struct {
	eventRow
	Payload, Metadata tree
	Hex               string
	Chain             panel[chain]
	// Next is the following event of the stream, 0 if there is none.
	Previous, Next int64
}

func (s *Server) showEvent(w http.ResponseWriter, r *http.Request) {
	view := eventView{}
	err := s.read(r.Context(), func(tx pgx.Tx) error {
		position, err := s.positionOf(r.Context(), tx, r.URL.Query())
		if err != nil {
			return err
		}
		if view.eventRow, err = one[eventRow](r.Context(), tx, eventQuery, position, maxText, maxHead, string(s.Tenant)); err != nil {
			return err
		}
		return tx.QueryRow(r.Context(), `
			SELECT coalesce((SELECT e.position FROM eventstream.events AS e WHERE e.stream_id = $1 AND e.version = $2::bigint - 1), 0),
				coalesce((SELECT e.position FROM eventstream.events AS e WHERE e.stream_id = $1 AND e.version = $2::bigint + 1), 0)`,
			view.StreamID, view.Version).Scan(&view.Previous, &view.Next)
	})
	if s.missing(w, err, "There is no such event here.") {
		return
	}
	view.Payload, view.Metadata, view.Hex = newTree(view.PayloadText), newTree(view.MetadataText), hex.Dump(view.DataHead)
	view.Chain = fill(r.Context(), s, func(tx pgx.Tx) (chain, error) { return s.readChain(r.Context(), tx, view.eventRow) })
	s.render(w, r, http.StatusOK, "event", "Event "+strconv.FormatInt(view.Position, 10), view)
}

// positionOf reads which event is meant: by its position, its id, or its place in a stream.
func (s *Server) positionOf(ctx context.Context, tx pgx.Tx, query url.Values) (position int64, err error) {
	if id, err := uuid.Parse(query.Get("id")); err == nil {
		err = tx.QueryRow(ctx, `SELECT e.position FROM eventstream.events AS e WHERE e.event_id = $1`, id).Scan(&position)
		return position, err
	}
	if position, err = strconv.ParseInt(query.Get("position"), 10, 64); err != nil {
		return 0, pgx.ErrNoRows
	}
	return position, nil
}

// missing answers a request that failed, and says whether it did.
func (s *Server) missing(w http.ResponseWriter, err error, text string) bool {
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		s.fail(w, http.StatusNotFound, text)
	case err != nil:
		s.fail(w, http.StatusInternalServerError, s.problem(err))
	}
	return err != nil
}

func (s *Server) sendPayload(w http.ResponseWriter, r *http.Request) {
	s.sendWhole(w, r, "application/json", "json", `SELECT convert_to(e.payload::text, 'UTF8')`)
}

func (s *Server) sendData(w http.ResponseWriter, r *http.Request) {
	s.sendWhole(w, r, "application/octet-stream", "bin", `SELECT e.data`)
}

// sendWhole sends what an event has as a file: a browser shows none of it.
func (s *Server) sendWhole(w http.ResponseWriter, r *http.Request, kind, suffix, query string) {
	var content []byte
	var position int64
	err := s.read(r.Context(), func(tx pgx.Tx) (err error) {
		if position, err = s.positionOf(r.Context(), tx, r.URL.Query()); err != nil {
			return err
		}
		return tx.QueryRow(r.Context(), query+` FROM eventstream.events AS e WHERE e.position = $1 AND ($2 = '' OR e.tenant_id = $2)`,
			position, string(s.Tenant)).Scan(&content)
	})
	if s.missing(w, err, "There is no such event here.") {
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="event-%d.%s"`, position, suffix))
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	_, _ = w.Write(content)
}
