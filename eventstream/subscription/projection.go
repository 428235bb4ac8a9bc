package subscription

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/invalid"
)

// Projection is a view of the events in tables of the same database, exactly as they say: a TxHandler that knows where its
// tables are, so that they can be built anew. They live in a PostgreSQL schema of its own, named after it, whose comment says
// so: a schema without that comment belongs to somebody else, and is neither used nor changed.
type Projection struct {
	// Name is the name of the subscription that feeds it, and of the schema of its tables: 1 to 40 of a-z, 0-9 and _, a letter
	// first; not public, eventstream, information_schema, or one that begins with pg_.
	Name string
	// Setup makes the tables in a schema, which exists and is empty. It must write the schema's name out, through
	// pgx.Identifier if it is not to be trusted; it may set none of its own.
	Setup func(ctx context.Context, tx pgx.Tx, schema string) error
	// Apply writes what events mean into the tables of a schema, in the transaction in which the checkpoint moves.
	Apply func(ctx context.Context, tx pgx.Tx, schema string, events []eventstream.LogEvent) error
	// Config is that of the subscription. Its Filter and Shards change with Rebuild. Default: nil, which means the defaults.
	Config *Config
}

// Projector keeps a Projection up to date, and rebuilds it. What it has of a Subscription works on the tables as well: Create makes
// them with the subscription, or finds both, and Run does it too. Either returns a *ProjectionMismatchError where one of the two
// is missing, or where they do not belong together: a schema that was dropped, a subscription that was deleted, a schema that
// is somebody else's. To create it, the role needs the right to create schemas in the database; to run it, rights on the tables.
//
// While it runs, it takes up what RequestRebuild asks for, beside its own work, and so it does where Run would be refused: then the rebuild
// comes first. One of the processes that run the projection takes it up; if that ends meanwhile, another one does, or it when it is back.
type Projector struct {
	*Subscription
	projection Projection
}

// projectionName and reservedSchemas are the rule of the constraint subscriptions_projection_name_valid.
var (
	projectionName  = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)
	reservedSchemas = []string{"public", "eventstream", "information_schema"}
)

// NewProjector returns what runs a projection. It returns an *InvalidValueError as New does, and does not talk to
// the database.
func NewProjector(repo *eventstream.Repository, projection Projection) (*Projector, error) {
	switch name := projection.Name; {
	case !projectionName.MatchString(name):
		return nil, invalid.Value("projection name", name, "1 to 40 of a-z, 0-9 and _, a letter first: it names a schema")
	case strings.HasPrefix(name, "pg_") || slices.Contains(reservedSchemas, name):
		return nil, invalid.Value("projection name", name,
			"another one than public, eventstream, information_schema and those that begin with pg_: it names a schema of its own")
	case projection.Setup == nil:
		return nil, invalid.Value("Projection.Setup", "nil", "a function that makes the tables")
	case projection.Apply == nil:
		return nil, invalid.Value("Projection.Apply", "nil", "a function that writes what events mean")
	}
	p := &Projector{projection: projection}
	var err error
	p.Subscription, err = p.subscription(repo, projection.Name, projection.Name, projection.Config)
	if err != nil {
		return nil, err
	}
	p.create, p.obey, p.mend = p.createTables, p.takeUp, p.mendByRequest
	return p, nil
}

// subscription feeds the tables of a schema.
func (p *Projector) subscription(repo *eventstream.Repository, name, schema string, config *Config) (*Subscription, error) {
	apply := func(ctx context.Context, tx pgx.Tx, events []eventstream.LogEvent) error {
		return p.projection.Apply(ctx, tx, schema, events)
	}
	s, err := New(repo, name, TxHandler(apply), config)
	if err != nil {
		return nil, err
	}
	s.delivery = deliveryProjection
	return s, nil
}

// createTables makes the subscription and its tables, or finds both.
func (p *Projector) createTables(ctx context.Context, conn *pgxpool.Conn) error {
	described := p.subscribeParams()
	return p.inTx(ctx, conn, func(tx pgx.Tx) error {
		tables, err := db.New().ProjectionCreate(ctx, tx, db.ProjectionCreateParams{
			Name: p.name, ShardCount: described.ShardCount, Filter: described.Filter, Start: described.Start,
		})
		if err != nil || tables == uuid.Nil {
			return err
		}
		return p.makeTables(ctx, tx, p.name, tables)
	})
}
