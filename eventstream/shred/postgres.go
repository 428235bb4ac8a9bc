package shred

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/invalid"
	"github.com/gaplesspg/gapless/internal/pgerr"
)

// PostgresKeys returns the KeyStore of table eventstream.subject_keys. The pool may be that of the events, or of another database with the same
// schema, whose backups are kept apart. It needs SELECT on subject_keys and forgotten_subjects, and EXECUTE on create_subject_key; to forget,
// on forget_subject; after a restore, on replay_forgotten; and to change the master key, on rewrap_subject_key.
func PostgresKeys(pool *pgxpool.Pool) KeyStore { return &postgresKeys{pool: pool, queries: db.New()} }

type postgresKeys struct {
	pool    *pgxpool.Pool
	queries *db.Queries
}

// inTx runs a function in a transaction of its own: a key must not depend on whether the caller's commits, since other writers use it at
// once. Who waited for another one's turn must see what that did, whatever the session's default is.
func (p *postgresKeys) inTx(ctx context.Context, do func(tx pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, p.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite}, do)
}

func (p *postgresKeys) Find(ctx context.Context, subject string) (StoredKey, bool, error) {
	rows, err := p.queries.SubjectKeyGet(ctx, p.pool, subject)
	if err != nil || len(rows) == 0 {
		return StoredKey{}, false, mapError(err)
	}
	return StoredKey{ID: rows[0].KeyID, Subject: subject, Wrapped: rows[0].WrappedKey}, true, nil
}

func (p *postgresKeys) Lookup(ctx context.Context, ids []uuid.UUID) ([]StoredKey, error) {
	rows, err := p.queries.SubjectKeyList(ctx, p.pool, ids)
	if err != nil {
		return nil, mapError(err)
	}
	keys := make([]StoredKey, len(rows))
	for i, row := range rows {
		keys[i] = StoredKey{ID: row.KeyID, Subject: row.Subject, Wrapped: row.WrappedKey, Forgotten: row.Forgotten}
	}
	return keys, nil
}

func (p *postgresKeys) Create(ctx context.Context, key StoredKey, again bool) (StoredKey, error) {
	var row db.CreateSubjectKeyRow
	err := p.inTx(ctx, func(tx pgx.Tx) (err error) {
		row, err = p.queries.CreateSubjectKey(ctx, tx, db.CreateSubjectKeyParams{
			Subject: key.Subject, KeyID: key.ID, WrappedKey: key.Wrapped, Again: again,
		})
		return err
	})
	return StoredKey{ID: row.KeyID, Subject: key.Subject, Wrapped: row.WrappedKey}, mapError(err)
}

func (p *postgresKeys) Forget(ctx context.Context, r Request, keep func(Record) error) (record Record, err error) {
	err = p.inTx(ctx, func(tx pgx.Tx) error {
		row, err := p.queries.ForgetSubject(ctx, tx, db.ForgetSubjectParams{Subject: r.Subject, Reason: r.Reason, ForgottenBy: r.By})
		if err != nil {
			return mapError(err)
		}
		record = Record(row)
		return keep(record)
	})
	if err != nil {
		return Record{}, err
	}
	return record, nil
}

func (p *postgresKeys) Records(ctx context.Context, after uuid.UUID, limit int) ([]Record, error) {
	rows, err := p.queries.ForgottenSubjectPage(ctx, p.pool, db.ForgottenSubjectPageParams{After: after, PageSize: int32(limit)}) //nolint:gosec // replayPage
	if err != nil {
		return nil, mapError(err)
	}
	records := make([]Record, len(rows))
	for i, row := range rows {
		records[i] = Record(row)
	}
	return records, nil
}

func (p *postgresKeys) Replay(ctx context.Context, records []Record) (deleted int64, err error) {
	var params db.ReplayForgottenParams
	for _, r := range records {
		params.KeyIds = append(params.KeyIds, r.KeyID)
		params.Subjects = append(params.Subjects, r.Subject)
		params.ForgottenAt = append(params.ForgottenAt, r.ForgottenAt)
		params.ForgottenBy = append(params.ForgottenBy, r.ForgottenBy)
		params.Reasons = append(params.Reasons, r.Reason)
	}
	err = p.inTx(ctx, func(tx pgx.Tx) (err error) {
		deleted, err = p.queries.ReplayForgotten(ctx, tx, params)
		return err
	})
	return deleted, mapError(err)
}

func (p *postgresKeys) Page(ctx context.Context, after uuid.UUID, limit int) ([]StoredKey, error) {
	rows, err := p.queries.SubjectKeyPage(ctx, p.pool, db.SubjectKeyPageParams{After: after, PageSize: int32(limit)}) //nolint:gosec // replayPage
	if err != nil {
		return nil, mapError(err)
	}
	keys := make([]StoredKey, len(rows))
	for i, row := range rows {
		keys[i] = StoredKey{ID: row.KeyID, Subject: row.Subject, Wrapped: row.WrappedKey}
	}
	return keys, nil
}

func (p *postgresKeys) Rewrap(ctx context.Context, old StoredKey, wrapped []byte) error {
	_, err := p.queries.RewrapSubjectKey(ctx, p.pool, db.RewrapSubjectKeyParams{
		KeyID: old.ID, OldWrappedKey: old.Wrapped, NewWrappedKey: wrapped,
	})
	return mapError(err)
}

// mapError turns what the functions refuse into an error of this module, by SQLSTATE.
func mapError(err error) error {
	var cause *pgconn.PgError
	if !errors.As(err, &cause) {
		return err
	}
	var d struct {
		Subject     string    `json:"subject"`
		ForgottenAt time.Time `json:"forgotten_at"`
		Field       string    `json:"field"`
		Value       string    `json:"value"`
		Rule        string    `json:"rule"`
	}
	// A DETAIL that cannot be read costs the values, not the kind.
	_ = json.Unmarshal([]byte(cause.Detail), &d)
	switch cause.Code {
	case "ES020":
		return &pgerr.Explained{Domain: &ForgottenError{Subject: d.Subject, ForgottenAt: d.ForgottenAt}, Cause: cause}
	case "ES008":
		return &pgerr.Explained{Domain: invalid.Value(d.Field, d.Value, d.Rule), Cause: cause}
	case "42P01", "3F000", "42883", "42703": // undefined table, schema, function, column
		return &pgerr.Explained{Domain: &eventstream.NotMigratedError{Missing: cause.Message}, Cause: cause}
	}
	return err
}
