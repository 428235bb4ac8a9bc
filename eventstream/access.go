package eventstream

import (
	"context"
	"encoding/json"
	"math"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/internal/access"
	"github.com/gaplesspg/gapless/internal/readbudget"
)

// inside is a Repository as other packages of this module see it.
type inside struct{ r *Repository }

var _ access.Core[LogEvent, LogFilter, Start] = inside{}

func init() {
	access.Provide(func(repository any) any { return inside{repository.(*Repository)} }) //nolint:forcetypeassert // what else
}

// appendHook is called after every append, by whoever shares a runtime through a repository: subscriptions do, which then look at once.
type appendHook struct {
	mu       sync.Mutex
	runtime  any
	appended atomic.Pointer[func()]
}

// call costs nothing while there is no runtime.
func (h *appendHook) call() {
	if appended := h.appended.Load(); appended != nil {
		(*appended)()
	}
}

func (i inside) Pool() *pgxpool.Pool { return i.r.pool }

func (i inside) Handle() db.DBTX { return unboundHandle(i.r.handle) }

func (i inside) Tenant() string { return string(i.r.tenant) }

func (i inside) Tracer() any { return i.r.config.Tracer }

func (i inside) Settings() access.Settings {
	c := &i.r.config
	return access.Settings{PageSize: c.PageSize, Connections: c.Connections, Lease: c.Lease, Notify: c.Notify}
}

func (i inside) Runtime(create func() (runtime any, appended func())) any {
	h := i.r.hook
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.runtime == nil {
		runtime, appended := create()
		h.runtime = runtime
		h.appended.Store(&appended)
	}
	return h.runtime
}

func (i inside) Partitions(ctx context.Context, h db.DBTX) (int, error) {
	return i.r.partitionCount(ctx, h)
}

func (i inside) Budget() *readbudget.Budget { return i.r.budget }

func (i inside) NormalFilter(filter LogFilter, partitions int) (LogFilter, error) {
	return i.r.logFilter(filter, partitions)
}

func (i inside) CheckStart(start Start, partitions int) error { return start.validate(partitions) }

func (i inside) StartJSON(start Start) json.RawMessage { return startJSON(start) }

func (i inside) Explain(err error) error { return mapError(err) }

func (i inside) ExplainRead(err error) error { return mapError(unreadable(err)) }

// followed are pages whose end moves.
type followed struct {
	*logPages
	repo *Repository
}

func (i inside) Pages(filter LogFilter, after int64, most int, beside access.Beside) access.Pages[LogEvent] {
	p := newLogPages(filter, false, after, after, most)
	p.beside = beside
	return &followed{p, i.r}
}

func (f *followed) After() int64 { return f.after }

func (f *followed) Until(stable int64) { f.until = stable }

func (f *followed) Skip() { f.after = f.until }

func (f *followed) Next(ctx context.Context, h db.DBTX, bytes int64, buffer []LogEvent) ([]LogEvent, error) {
	return f.next(ctx, f.repo, h, math.MaxInt, bytes, buffer)
}

func (i inside) EventAt(ctx context.Context, h db.DBTX, position int64) (LogEvent, bool, error) {
	page, _, err := i.r.logPage(ctx, h, onePosition(position), &numberer{}, nil)
	if err != nil || len(page) == 0 {
		return LogEvent{}, false, err
	}
	return page[0], true, nil
}

func (i inside) NameUnreadable(ctx context.Context, position int64, err error) error {
	return i.r.nameUnreadableAt(ctx, position, err)
}

// onePosition is the page of one event, however large it is.
func onePosition(position int64) pageWanted {
	return pageWanted{after: position - 1, until: position, size: 1, bytes: math.MaxInt64, large: true}
}
