package inspect

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
)

const (
	// chainWindow is how many positions on both sides are looked through for events of the same correlation, where no index finds them.
	chainWindow = 10_000
	// maxChain bounds the events of a drawing.
	maxChain = 40
)

// link is an event of a chain.
type link struct {
	Position  int64  `db:"position"`
	Version   int64  `db:"version"`
	EventID   string `db:"event_id"`
	StreamID  string `db:"stream_id"`
	Type      string `db:"type"`
	Causation string `db:"causation"`
}

// chain is what belongs together with an event: what caused it, what it caused, and what has the same correlation.
type chain struct {
	Graph graph
	Links []link
	// Whole says that the whole log was searched; else it was Window positions on both sides.
	Whole  bool
	Window int64
	Cut    bool
}

const linkColumns = `e.position, e.version, e.event_id::text, e.stream_id, e.type, left(` + causationKey + `, 200) AS causation`

// causesQuery goes from an event to what caused it, and on from there.
const causesQuery = `
WITH RECURSIVE causes (depth, position, version, event_id, stream_id, type, causation) AS (
    SELECT 1, ` + linkColumns + `
    FROM eventstream.events AS e
    WHERE e.event_id = CASE WHEN $1 ~ $3 THEN $1::uuid END AND ($2 = '' OR e.tenant_id = $2)
    UNION ALL
    SELECT c.depth + 1, f.*
    FROM causes AS c
    CROSS JOIN LATERAL (
        SELECT ` + linkColumns + `
        FROM eventstream.events AS e
        WHERE e.event_id = CASE WHEN c.causation ~ $3 THEN c.causation::uuid END AND ($2 = '' OR e.tenant_id = $2)
    ) AS f
    WHERE c.depth < 20
)
SELECT c.position, c.version, c.event_id, c.stream_id, c.type, c.causation FROM causes AS c`

const uuidPattern = `^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`

const relatedQuery = `
SELECT ` + linkColumns + `
FROM eventstream.events AS e
WHERE e.position BETWEEN $1::bigint - $2 AND $1::bigint + $2 AND ($5 = '' OR e.tenant_id = $5)
    AND (($3 <> '' AND ` + correlationKey + ` = $3) OR ` + causationKey + ` = $4)
ORDER BY abs(e.position - $1::bigint)
LIMIT $6`

// By an index of the operator's, on ((metadata ->> 'correlation_id')).
const (
	correlationIndexQuery = `
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_index AS i
    WHERE i.indrelid = 'eventstream.events'::regclass AND i.indisvalid
        AND pg_get_indexdef(i.indexrelid) LIKE '%((metadata ->> ''correlation_id''::text)%')`
	indexedQuery = `
SELECT ` + linkColumns + `
FROM eventstream.events AS e
WHERE e.metadata ->> 'correlation_id' = $1 AND ($3 = '' OR e.tenant_id = $3)
ORDER BY abs(e.position - $2::bigint)
LIMIT $4`
)

func (s *Server) readChain(ctx context.Context, tx pgx.Tx, event eventRow) (c chain, err error) {
	tenant := string(s.Tenant)
	c.Window = chainWindow
	links := []link{{event.Position, event.Version, event.EventID, event.StreamID, event.Type, event.Causation}}
	causes, err := list[link](ctx, tx, causesQuery, event.Causation, tenant, uuidPattern)
	if err != nil {
		return c, err
	}
	related, err := list[link](ctx, tx, relatedQuery, event.Position, int64(chainWindow), event.Correlation, event.EventID, tenant, maxChain+1)
	if err != nil {
		return c, err
	}
	var indexed []link
	if event.Correlation != "" {
		if err := tx.QueryRow(ctx, correlationIndexQuery).Scan(&c.Whole); err != nil {
			return c, err
		}
	}
	if c.Whole {
		if indexed, err = list[link](ctx, tx, indexedQuery, event.Correlation, event.Position, tenant, maxChain+1); err != nil {
			return c, err
		}
	}
	links = append(append(append(links, causes...), related...), indexed...)
	c.Links, c.Cut = distinct(links)
	if len(c.Links) > 1 || event.Causation != "" {
		c.Graph = newGraph(c.Links, event.EventID)
	}
	return c, nil
}

// distinct keeps each event once, the first ones if there are too many, in order of the log.
func distinct(links []link) (kept []link, cut bool) {
	seen := map[string]bool{}
	for _, l := range links {
		if seen[l.EventID] {
			continue
		}
		if len(kept) == maxChain {
			cut = true
			break
		}
		seen[l.EventID] = true
		kept = append(kept, l)
	}
	slices.SortFunc(kept, func(a, b link) int { return int(a.Position - b.Position) })
	return kept, cut
}
