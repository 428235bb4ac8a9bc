package eventstream

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/internal/logend"
)

// ForTenant returns the same repository for one tenant: nothing of another tenant is seen by it or written. Each call runs as the role
// eventstream_tenant, which row security holds to that tenant, in its own transaction or for its own part of the caller's (WithTx): no further
// round trips, nothing left behind on the connection. The login needs to be a member of eventstream_tenant: docs/security.md.
//
// A stream of another tenant is one that does not exist. An append that would begin a stream under an id that another tenant uses is a
// *TenantMismatchError that does not say whose it is: ids are the store's, so give those of tenants a part that others cannot guess. Events
// without a tenant get this one, and so does a stream that GetOrCreate begins; those of another are a *TenantMismatchError.
//
// What is the whole store's business, as the audit, an Import, erasing, closing and discarding, is refused, and so are sequence numbers, which count events of all
// tenants: those of a LogEvent are 0. A subscription on it gets the tenant's events alone, and keeps its checkpoints by the rights of the login.
//
// It costs little to make, for each request of a service if need be. An id that breaks the rule is an *InvalidValueError of each call, and so
// is that of another tenant, since a repository of a tenant stays that.
func (r *Repository) ForTenant(id TenantID) *Repository {
	bound := *r
	if r.tenant == id && id != "" {
		return &bound
	}
	if err := id.Validate(); err != nil {
		return bound.refusing(err)
	}
	if r.tenant != "" {
		return bound.refusing(invalidValue("tenant", string(id), "that of the repository, which is for "+quote(string(r.tenant))))
	}
	bound.tenant = id
	bound.handle = bound.bind(r.handle)
	if bound.group != nil {
		bound.group = r.tenantGroup
	}
	return &bound
}

// refusing makes every call of the repository an error.
func (r *Repository) refusing(err error) *Repository {
	r.handle, r.group = noHandle{err}, nil
	return r
}

// bind is a handle on which statements are the repository's tenant's, if it is for one.
func (r *Repository) bind(h Handle) Handle {
	if r.tenant == "" {
		return h
	}
	return tenantHandle(h, string(r.tenant))
}

// tenantOf is the tenant that something asks for, or the repository's, if it is for one.
func (r *Repository) tenantOf(field string, asked TenantID) (TenantID, error) {
	if r.tenant == "" || asked == r.tenant {
		return asked, nil
	}
	if asked != "" {
		return "", invalidValue(field, string(asked), "empty, or that of the repository, which is for tenant "+quote(string(r.tenant)))
	}
	return r.tenant, nil
}

// forAllTenants refuses what is the whole store's business.
func (r *Repository) forAllTenants(what string) error {
	if r.tenant == "" {
		return nil
	}
	return invalidValue("repository", "for tenant "+string(r.tenant), "for all tenants, for "+what)
}

// logFilter is a filter of the log in normal form, within the repository's tenant.
func (r *Repository) logFilter(filter LogFilter, partitions int) (_ LogFilter, err error) {
	if filter.Tenant, err = r.tenantOf("LogFilter.Tenant", filter.Tenant); err != nil {
		return LogFilter{}, err
	}
	return filter.validate(partitions)
}

// checkStart refuses starts by numbers of the whole log in a repository for a tenant, who has none.
func (r *Repository) checkStart(start Start) error {
	switch s := start.(type) {
	case startPartitions:
		return r.forAllTenants("FromPartitionSequences")
	case startNumber:
		if s.field == startSequence {
			return r.forAllTenants("FromSequence")
		}
	}
	return nil
}

// bindItem makes an append one of the repository's tenant, if it is for one.
func (r *Repository) bindItem(item *appendItem) error {
	if r.tenant == "" {
		return nil
	}
	item.bound = true
	for n := range item.requests {
		request := &item.requests[n]
		if request.tenant != "" && request.tenant != string(r.tenant) {
			return &TenantMismatchError{
				StreamID: StreamID(request.stream), StreamTenant: r.tenant, EventTenant: TenantID(request.tenant),
			}
		}
		request.tenant = string(r.tenant)
	}
	return nil
}

// tenantsOn is what a batch of several tenants' appends is sent on: as their one tenant, or as none, where each request names its own.
func tenantsOn(pool *pgxpool.Pool, items []*appendItem) Handle {
	tenant := items[0].requests[0].tenant
	for _, item := range items {
		if item.requests[0].tenant != tenant {
			return tenantHandle(pool, "")
		}
	}
	return tenantHandle(pool, tenant)
}

// sendForTenants is send for items of repositories for a tenant: the functions for them refuse a stream of another as one that is not there.
func (r *Repository) sendForTenants(ctx context.Context, h Handle, items []*appendItem, wait time.Duration) ([]db.AppendBatchRow, error) {
	wanting := wantNewer(items)
	if len(items) == 1 && items[0].size.Count == 1 && wait == 0 && wanting == 0 {
		row, err := r.queries.TenantAppendEvent(ctx, h, db.TenantAppendEventParams(oneEvent(&items[0].requests[0])))
		return []db.AppendBatchRow{db.AppendBatchRow(row)}, err
	}
	p := layOut(items)
	if wait > 0 {
		p.LockTimeout = lockTimeout(wait)
	}
	if wanting == 0 {
		rows, err := r.queries.TenantAppendBatch(ctx, h, db.TenantAppendBatchParams(p))
		batch := make([]db.AppendBatchRow, len(rows))
		for i := range rows {
			batch[i] = db.AppendBatchRow(rows[i])
		}
		return batch, err
	}
	rows, err := r.queries.TenantAppendBatchNewer(ctx, h, db.TenantAppendBatchNewerParams(newerParams(p, items, wanting)))
	if err != nil {
		return nil, err
	}
	batch := make([]db.AppendBatchNewerRow, len(rows))
	for i := range rows {
		batch[i] = db.AppendBatchNewerRow(rows[i])
	}
	return takeNewer(items, batch), nil
}

// ingestTenant is the tenant of the events of an Ingest.
func (r *Repository) ingestTenant(id StreamID, named *string) (*string, error) {
	if r.tenant == "" {
		return named, nil
	}
	tenant := string(r.tenant)
	if named != nil && *named != tenant {
		return nil, &TenantMismatchError{StreamID: id, StreamTenant: r.tenant, EventTenant: TenantID(*named)}
	}
	return &tenant, nil
}

func (r *Repository) ingest(ctx context.Context, h Handle, p db.IngestParams) (db.IngestRow, error) {
	if r.tenant == "" {
		return r.queries.Ingest(ctx, h, p)
	}
	row, err := r.queries.TenantIngest(ctx, h, db.TenantIngestParams(p))
	return db.IngestRow(row), err
}

func (r *Repository) advanceWatermark(ctx context.Context, h Handle, id StreamID) (int64, error) {
	if r.tenant == "" {
		return r.queries.AdvanceWatermark(ctx, h, string(id))
	}
	return r.queries.TenantAdvanceWatermark(ctx, h, string(id))
}

func (r *Repository) saveSnapshot(ctx context.Context, h Handle, p db.SnapshotSaveParams) (string, error) {
	if r.tenant == "" {
		return r.queries.SnapshotSave(ctx, h, p)
	}
	return r.queries.TenantSaveSnapshot(ctx, h, db.TenantSaveSnapshotParams(p))
}

func (r *Repository) appendIf(ctx context.Context, h Handle, p db.AppendIfParams) ([]db.AppendIfRow, error) {
	if r.tenant == "" {
		return r.queries.AppendIf(ctx, h, p)
	}
	rows, err := r.queries.TenantAppendIf(ctx, h, db.TenantAppendIfParams(p))
	decided := make([]db.AppendIfRow, len(rows))
	for i := range rows {
		decided[i] = db.AppendIfRow(rows[i])
	}
	return decided, err
}

// logEnd is how far the log can be read. Marks, which logend.ToRead sees to, are for numbers, and a tenant's events have none.
func (r *Repository) logEnd(ctx context.Context, h Handle, level bool) (int64, error) {
	if r.tenant == "" {
		return logend.ToRead(ctx, h, level)
	}
	look, err := logend.Look(ctx, h)
	return look.StablePosition, err
}
