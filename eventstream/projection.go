package eventstream

import (
	"context"
	"regexp"

	"github.com/jackc/pgx/v5"
)

// Projection is a view of the events in tables of the same database, exactly as they say: a TxHandler that knows where its
// tables are, so that they can be built anew. They live in a PostgreSQL schema of its own, named after it.
type Projection struct {
	// Name is the name of the subscription that feeds it, and of the schema of its tables: 1 to 40 of a-z, 0-9 and _, a letter
	// first.
	Name string
	// Setup makes the tables in a schema, which is there and empty. It must write the schema's name out, through
	// pgx.Identifier if it is not to be trusted; it may set none of its own.
	Setup func(ctx context.Context, tx pgx.Tx, schema string) error
	// Apply writes what events mean into the tables of a schema, in the transaction in which the checkpoint moves.
	Apply func(ctx context.Context, tx pgx.Tx, schema string, events []LogEvent) error
	// Config is that of the subscription. Default: nil, which means the defaults.
	Config *SubscriptionConfig
}

// Projector keeps a Projection up to date, and rebuilds it.
type Projector struct {
	*Subscription
	projection Projection
}

var projectionName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)

// NewProjector returns what runs a projection. It returns an *InvalidValueError as NewSubscription does, and does not talk to
// the database.
func NewProjector(repo *Repository, projection Projection) (*Projector, error) {
	switch {
	case !projectionName.MatchString(projection.Name):
		return nil, invalidValue("projection name", projection.Name, "1 to 40 of a-z, 0-9 and _, a letter first: it names a schema")
	case projection.Setup == nil:
		return nil, invalidValue("Projection.Setup", "nil", "a function that makes the tables")
	case projection.Apply == nil:
		return nil, invalidValue("Projection.Apply", "nil", "a function that writes what events mean")
	}
	p := &Projector{projection: projection}
	var err error
	p.Subscription, err = NewSubscription(repo, projection.Name, p.handler(projection.Name), projection.Config)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// handler applies events to the tables of a schema.
func (p *Projector) handler(schema string) TxHandler {
	return func(ctx context.Context, tx pgx.Tx, events []LogEvent) error {
		return p.projection.Apply(ctx, tx, schema, events)
	}
}

// Create makes the tables, unless their schema is there, and the subscription. The role needs the right to create schemas in the
// database, or a schema that was made for it, with the tables in it.
func (p *Projector) Create(ctx context.Context) error {
	return unwrapFailure(p.create(ctx))
}

// create is Create, but for errors of Setup, which it marks.
func (p *Projector) create(ctx context.Context) error {
	err := p.inTx(ctx, func(tx pgx.Tx) error { return p.setup(ctx, tx, p.projection.Name) })
	if err != nil {
		return err
	}
	return p.Subscription.Create(ctx)
}

// Run makes the tables unless they are there, and then is Subscription.Run.
func (p *Projector) Run(ctx context.Context) error {
	if err := p.onceReached(ctx, p.create); err != nil {
		return unlessEnded(ctx, unwrapFailure(err))
	}
	return p.Subscription.Run(ctx)
}

// setup makes a schema and its tables, unless it is there. Whoever does the same at once waits, and finds it.
func (p *Projector) setup(ctx context.Context, tx pgx.Tx, schema string) error {
	_, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended('eventstream projection ' || $1, 0))", schema)
	if err != nil {
		return err
	}
	if there, err := schemaExists(ctx, tx, schema); err != nil || there {
		return err
	}
	if _, err := tx.Exec(ctx, "CREATE SCHEMA "+identifier(schema)); err != nil {
		return err
	}
	return p.callSetup(ctx, tx, schema)
}

// callSetup calls the user's Setup; its error is its own.
func (p *Projector) callSetup(ctx context.Context, tx pgx.Tx, schema string) error {
	if err := call(func() error { return p.projection.Setup(ctx, batchTx{tx}, schema) }); err != nil {
		if tx.Conn().IsClosed() {
			return unwrapFailure(err) // which is why it failed
		}
		return &HandlerError{Subscription: p.name, Tries: 1, Err: unwrapFailure(err)}
	}
	return nil
}

func (p *Projector) inTx(ctx context.Context, do func(pgx.Tx) error) error {
	return mapError(pgx.BeginTxFunc(ctx, p.repo.hub.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, do))
}

func schemaExists(ctx context.Context, tx pgx.Tx, schema string) (there bool, err error) {
	err = tx.QueryRow(ctx, "SELECT to_regnamespace($1) IS NOT NULL", schema).Scan(&there)
	return there, err
}

func dropSchema(ctx context.Context, tx pgx.Tx, schema string) error {
	_, err := tx.Exec(ctx, "DROP SCHEMA IF EXISTS "+identifier(schema)+" CASCADE")
	return err
}

func identifier(name string) string { return pgx.Identifier{name}.Sanitize() }
