package subscription

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/isolation"
	"github.com/gaplesspg/gapless/internal/lenttx"
	"github.com/gaplesspg/gapless/internal/outlast"
	"github.com/gaplesspg/gapless/internal/shown"
)

// stagedSchema and oldSchema name the schemas of the tables that are being built and of those that were replaced. No projection can have
// such a name.
func (p *Projector) stagedSchema() string { return "_" + p.name + "_rebuild" }
func (p *Projector) oldSchema() string    { return "_" + p.name + "_old" }

// inTx does something in a transaction, whose commit the end of the context does not cut off: a rebuild that is live was done. IdleTimeout is
// for those of handlers: one that waits for the new tables to come level is idle between two looks.
func (p *Projector) inTx(ctx context.Context, h isolation.Beginner, do func(pgx.Tx) error) error {
	options := batchOptions("projection "+uuid.NewString(), max(p.config.IdleTimeout, switchPatience), 0)
	err := outlast.Tx(ctx, h, options, do)
	var failure *handlerFailure
	if errors.As(err, &failure) {
		return &HandlerError{Subscription: p.name, Tries: 1, Err: failure.err}
	}
	return explain(p.core, err)
}

// makeTables makes a schema, marks whose it is and which tables it holds, and lets Setup fill it.
func (p *Projector) makeTables(ctx context.Context, tx pgx.Tx, schema string, tables uuid.UUID) error {
	mark, err := db.New().ProjectionMark(ctx, tx, db.ProjectionMarkParams{Name: p.name, TablesID: tables})
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "CREATE SCHEMA "+identifier(schema)); err != nil {
		return err
	}
	// A mark is made of a projection's name and a uuid: nothing in it ends the string.
	if _, err := tx.Exec(ctx, "COMMENT ON SCHEMA "+identifier(schema)+" IS '"+mark+"'"); err != nil {
		return err
	}
	return p.callSetup(ctx, tx, schema)
}

// callSetup lets Setup fill a schema, in a transaction that it must not end.
func (p *Projector) callSetup(ctx context.Context, tx pgx.Tx, schema string) error {
	var token string
	if err := tx.QueryRow(ctx, "SELECT current_setting('eventstream.batch')").Scan(&token); err != nil {
		return err
	}
	began := time.Now()
	if err := call(func() error {
		return p.projection.Setup(ctx, lenttx.Tx{Tx: tx, Refusal: eventstream.ErrTxEnded}, schema)
	}); err != nil {
		if tx.Conn().IsClosed() {
			return unwrapFailure(err) // which is why it failed
		}
		return err
	}
	var same bool
	err := tx.QueryRow(ctx, "SELECT current_setting('eventstream.batch', true) IS NOT DISTINCT FROM $1", token).Scan(&same)
	if err == nil && !same {
		return fmt.Errorf("setup of projection %s: %w", shown.Quote(p.name), eventstream.ErrTxEnded)
	}
	if err != nil {
		return p.swallowed(tx, err, began)
	}
	return nil
}

// tablesIn says which tables of the projection a schema holds: none if there is no such schema. One of somebody else's is refused.
func (p *Projector) tablesIn(ctx context.Context, tx pgx.Tx, schema string) (uuid.UUID, error) {
	is, err := db.New().ProjectionSchema(ctx, tx, db.ProjectionSchemaParams{Schema: schema, Name: p.name})
	if err == nil && is.Found && is.TablesID == uuid.Nil {
		err = &ProjectionMismatchError{
			Name:    p.name,
			Problem: "schema " + shown.Quote(schema) + " exists, and its comment does not say that it holds tables of this projection",
			Advice:  "Rename or drop the schema if you no longer need it.",
		}
	}
	return is.TablesID, err
}

// dropTables drops a schema of the projection's, if there is one.
func (p *Projector) dropTables(ctx context.Context, tx pgx.Tx, schema string) error {
	tables, err := p.tablesIn(ctx, tx, schema)
	if err != nil || tables == uuid.Nil {
		return err
	}
	_, err = tx.Exec(ctx, "DROP SCHEMA "+identifier(schema)+" CASCADE")
	return err
}

// requireTables demands that a schema holds these tables: another rebuild may have replaced them.
func (p *Projector) requireTables(ctx context.Context, tx pgx.Tx, schema string, tables uuid.UUID) error {
	is, err := p.tablesIn(ctx, tx, schema)
	if err == nil && is != tables {
		err = &ProjectionMismatchError{
			Name:    p.name,
			Problem: "schema " + shown.Quote(schema) + " does not hold the tables that this rebuild has filled: they were dropped or replaced meanwhile",
			Advice:  "Rebuild it again.",
		}
	}
	return err
}

func renameSchema(ctx context.Context, tx pgx.Tx, from, to string) error {
	_, err := tx.Exec(ctx, "ALTER SCHEMA "+identifier(from)+" RENAME TO "+identifier(to))
	return err
}

func identifier(name string) string { return pgx.Identifier{name}.Sanitize() }
