package subscription

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/access"
	"github.com/gaplesspg/gapless/internal/invalid"
	"github.com/gaplesspg/gapless/internal/isolation"
	"github.com/gaplesspg/gapless/internal/logend"
	"github.com/gaplesspg/gapless/internal/pause"
)

// Handler is what a subscription does with events: a TxHandler, an EffectHandler or an AsyncHandler. It gets them in batches,
// in order, and never two batches of one shard at once, an AsyncHandler excepted. The slice is
// lent until the handler returns, to an AsyncHandler for good: keep copies of events, not the slice.
type Handler interface {
	// delivery is the name of the guarantee, as eventstream.subscriptions keeps it.
	delivery() string
	isNil() bool
}

// TxHandler handles events in the transaction in which the checkpoint moves: what it writes through tx is stored exactly once.
// Returning nil commits, an error rolls back; it must not end the transaction by itself. What it does elsewhere than in tx can
// happen more than once. EachInTx makes one of a function that handles one event.
type TxHandler func(ctx context.Context, tx pgx.Tx, events []eventstream.LogEvent) error

// EffectHandler handles events whose effects are elsewhere. The checkpoint moves after it, so after a crash, a lost shard or an
// error the events since the last checkpoint come again: at least once, in order. HandledFirst says how far it came, and EachEvent makes
// one of a function that handles one event.
type EffectHandler func(ctx context.Context, events []eventstream.LogEvent) error

// AsyncHandler is an EffectHandler that need not have finished when it returns: it calls ack, once, with nil when the effects
// of the batch are done or with an error when they failed. It is called in order; the checkpoint moves when a batch and all
// before it are acknowledged. While Config.Window batches are under way, no further one is handed out.
type AsyncHandler func(ctx context.Context, events []eventstream.LogEvent, ack func(error))

const (
	deliveryTransaction  = "transaction"
	deliveryAcknowledged = "acknowledged"
	// deliveryProjection is a TxHandler's, whose tables belong to the checkpoint.
	deliveryProjection = "projection"
)

func (TxHandler) delivery() string     { return deliveryTransaction }
func (EffectHandler) delivery() string { return deliveryAcknowledged }
func (AsyncHandler) delivery() string  { return deliveryAcknowledged }

func (h TxHandler) isNil() bool     { return h == nil }
func (h EffectHandler) isNil() bool { return h == nil }
func (h AsyncHandler) isNil() bool  { return h == nil }

// Subscription reads the log and hands every event to a handler, in order within each stream and each shard, without ever
// leaving one out. How far it has come is kept in the database under its name; any number of processes may run it, and share
// its shards.
type Subscription struct {
	repo *eventstream.Repository
	core core
	// hub is what all subscriptions of the repository share.
	hub     *hub
	name    string
	handler Handler
	config  Config
	// delivery is the handler's, or deliveryProjection.
	delivery string
	// create makes the subscription, or finds it as described.
	create func(context.Context, *pgxpool.Conn) error
	// obey does what was requested of whoever runs it, and mend looks whether that would help after an error of create; nil where nothing
	// can be requested.
	obey func(ctx context.Context, told *teller)
	mend func(ctx context.Context, refusal error) error
	// tracer is told of handlers; nil if nobody is.
	tracer HandlerTracer
	// ends says that the subscription is being replaced, so that losing its shards is as planned.
	ends atomic.Bool
	// slots are those of the hub, or of a rebuild's own: the live projection, which waits for it, may have taken all of the hub's.
	slots chan struct{}
	// filter is the config's, in normal form.
	filter eventstream.LogFilter
	// wanted is the highest position that somebody in this process waits for, and moved is raised when a shard has come as far.
	wanted atomic.Int64
	moved  signal
}

// subscriptionName is the rule of the constraint subscriptions_name_valid.
var subscriptionName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.:/-]{0,127}$`)

// New describes a subscription; Run creates it, if need be, and runs it. A nil config means the defaults. It returns
// an *InvalidValueError for a bad name, handler or config, and for a repository that is not on a *pgxpool.Pool; it does not
// talk to the database.
func New(repo *eventstream.Repository, name string, handler Handler, config *Config) (*Subscription, error) {
	inside, err := coreOf(repo)
	if err != nil || inside.Pool() == nil {
		return nil, invalid.Value("repository", "not on a pool", "made by NewRepository on a *pgxpool.Pool: a subscription needs several connections")
	}
	if !subscriptionName.MatchString(name) {
		return nil, invalid.Value("subscription name", name, "1 to 128 bytes: a letter, then letters, digits and _ - . : /")
	}
	if handler == nil || handler.isNil() {
		return nil, invalid.Value("handler", "nil", "a TxHandler, an EffectHandler or an AsyncHandler")
	}
	complete, err := config.withDefaults(inside.Settings().Lease)
	if err != nil {
		return nil, err
	}
	filter, err := inside.NormalFilter(complete.Filter, access.MaxPartitionCount)
	if err != nil {
		return nil, err
	}
	hub := hubOf(inside)
	s := &Subscription{
		repo: repo, core: inside, hub: hub, name: name, handler: handler, config: complete, delivery: handler.delivery(), filter: filter,
		slots: hub.slots,
	}
	s.create = s.subscribe
	s.tracer, _ = inside.Tracer().(HandlerTracer)
	return s, nil
}

// Name returns the name under which the database keeps how far the subscription has come.
func (s *Subscription) Name() string { return s.name }

// Run creates the subscription unless it exists, competes for its shards, and hands their events to the handler until ctx
// ends; then it gives the shards back and returns nil. An interrupted batch is rolled back, or comes again.
//
// It returns an error when it cannot start: a *MismatchError if the name is taken by another configuration, a
// *BeyondLogError for a start that the log has not reached, ErrReadOnly on a standby. And it returns a *HandlerError when the
// handler keeps failing and the policy is to stop, ErrTxEnded when the handler ended its transaction, a *MismatchError
// when the subscription was given another number of shards meanwhile, a *HandlerStuckError when the handler did not come to an end. Lost
// connections and lost shards are none of these, nor is a database that cannot be reached when it starts: it waits, with pauses that grow to
// 5 seconds, tells the observer, and goes on once the database is back.
func (s *Subscription) Run(ctx context.Context) error {
	err := s.onceReached(ctx, s.Create)
	if err != nil && s.mend != nil {
		err = s.mend(ctx, err)
	}
	if err == nil {
		err = s.hub.run(ctx, s)
	}
	return unlessEnded(ctx, err)
}

// unlessEnded is err, or nil if it only says that the context has ended, which is how Run is meant to end.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// Create makes sure that the database knows the subscription as it is described here: from then on it is found by WaitFor, and what
// is appended is kept for it. Run does it too; its errors of the start are those of Create.
func (s *Subscription) Create(ctx context.Context) error {
	if err := s.hub.checkPool(); err != nil {
		return err
	}
	conn, release, err := s.hub.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := s.checkPartitions(ctx, conn); err != nil {
		return err
	}
	if err := s.numberStart(ctx, conn); err != nil {
		return err
	}
	return s.create(ctx, conn)
}

// checkPartitions refuses a description that does not fit the store's number of partitions.
func (s *Subscription) checkPartitions(ctx context.Context, h db.DBTX) error {
	partitions, err := s.core.Partitions(ctx, h)
	if err != nil {
		return err
	}
	if _, err := s.core.NormalFilter(s.filter, partitions); err != nil {
		return err
	}
	return s.core.CheckStart(s.config.From, partitions)
}

// numberStart makes sure that marks lead to a start that is a number or a time.
func (s *Subscription) numberStart(ctx context.Context, conn *pgxpool.Conn) error {
	if s.config.From == eventstream.FromBeginning || s.config.From == eventstream.FromLatest {
		return nil
	}
	_, err := logend.ToRead(ctx, conn, true)
	return explain(s.core, err)
}

// subscribe creates the subscription, unless it exists as described.
func (s *Subscription) subscribe(ctx context.Context, conn *pgxpool.Conn) error {
	return explain(s.core, isolation.ReadCommitted(ctx, conn, func(tx db.DBTX) error {
		_, err := db.New().SubscriptionSubscribe(ctx, tx, s.subscribeParams())
		return err
	}))
}

func (s *Subscription) subscribeParams() db.SubscriptionSubscribeParams {
	return db.SubscriptionSubscribeParams{
		Name:       s.name,
		ShardCount: int32(s.config.Shards),
		Delivery:   s.delivery,
		Filter:     filterJSON(s.filter),
		Start:      s.core.StartJSON(s.config.From),
	}
}

// WaitFor returns once every event up to a position is handled, by whichever process: whoever appended something can wait for
// AppendResult.LastPosition, and then finds it in the subscription's projection. What was parked or skipped counts as handled.
// It returns the context's error if that ends first, a *NotFoundError if nobody has run the subscription yet, and a *BeyondLogError for a position
// that was never drawn.
func (s *Subscription) WaitFor(ctx context.Context, position int64) error {
	return s.waitFor(ctx, s.core.Handle(), position)
}

func (s *Subscription) waitFor(ctx context.Context, h db.DBTX, position int64) error {
	for previous := s.wanted.Load(); previous < position && !s.wanted.CompareAndSwap(previous, position); {
		previous = s.wanted.Load()
	}
	for look := pause.NewBackoff(2*time.Millisecond, 50*time.Millisecond); ; {
		moved := s.moved.next()
		at, err := db.New().SubscriptionCheckpoint(ctx, h, s.name)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return &NotFoundError{Name: s.name}
		case err != nil:
			return explain(s.core, err)
		case at.Position >= position:
			return nil
		case position > at.LastPosition:
			return &eventstream.BeyondLogError{Field: "position", Value: position, Last: at.LastPosition}
		}
		s.hub.hasten()
		if err := look.WaitOr(ctx, moved); err != nil {
			return err
		}
	}
}

// reached tells those in this process who wait for a position that a shard has come as far.
func (s *Subscription) reached(position int64) {
	if wanted := s.wanted.Load(); wanted > 0 && position >= wanted {
		s.moved.raise()
	}
}

// Lag says how far each shard of the subscription is, by whichever process; nothing if nobody has run it yet.
func (s *Subscription) Lag(ctx context.Context) ([]ShardLag, error) {
	return lagOf(ctx, s.core, s.name)
}

// filterJSON is a filter as eventstream.subscriptions keeps it.
func filterJSON(filter eventstream.LogFilter) []byte {
	text, err := json.Marshal(filter)
	if err != nil {
		panic(err) // of numbers and text
	}
	return text
}
