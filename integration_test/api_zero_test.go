package integration_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

var errorType = reflect.TypeFor[error]()

// callWith calls a function by reflection, with given values where the types fit and zero values elsewhere, goes through what it returns if
// that is a sequence, and gives its error. A panic fails the test.
func callWith(t *testing.T, name string, f reflect.Value, given ...reflect.Value) (err error) {
	t.Helper()
	defer func() {
		if value := recover(); value != nil {
			t.Errorf("%s: panic: %v", name, value)
		}
	}()
	args := make([]reflect.Value, f.Type().NumIn())
	for i := range args {
		in := f.Type().In(i)
		args[i] = reflect.Zero(in)
		for _, value := range given {
			if value.Type().AssignableTo(in) {
				args[i] = value
			}
		}
	}
	if f.Type().IsVariadic() {
		return errorOf(f.CallSlice(args))
	}
	return errorOf(f.Call(args))
}

// errorOf is the error among results, or the first one of a sequence.
func errorOf(results []reflect.Value) (err error) {
	for _, result := range results {
		switch {
		case result.Type() == errorType:
			err, _ = result.Interface().(error)
		case result.Kind() == reflect.Func:
			for _, value := range result.Seq2() {
				if value.Type() == errorType && !value.IsNil() {
					return value.Interface().(error)
				}
			}
		}
	}
	return err
}

// methodsOf are the exported methods of a value, by name.
func methodsOf(value any, each func(name string, method reflect.Value)) {
	v := reflect.ValueOf(value)
	for i := range v.NumMethod() {
		each(v.Type().Method(i).Name, v.Method(i))
	}
}

// managing are the functions that manage subscriptions by name.
var managing = map[string]any{
	"Delete": subscription.Delete, "List": subscription.List, "ParkedEvents": subscription.ParkedEvents, "Pause": subscription.Pause,
	"Reset": subscription.Reset, "Reshard": subscription.Reshard, "Resume": subscription.Resume, "SkipEvent": subscription.SkipEvent,
}

// Every method, called with zero values, returns: with an error that names what is wrong where nothing can be done, never with a panic.
func TestAPIWithZeroValues(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := reflect.ValueOf(b.ctx)
	// Those that read all, or nothing, of what there is.
	fine := []string{"Audit", "CountStreams", "ForTenant", "List", "LogHead", "OpenLog", "ParkedEvents", "PartitionStats", "ReadLog", "RunAudit", "Streams", "UnknownTypes", "WithTx"}
	check := func(name string, err error) {
		if slices.Contains(fine, name) {
			require.NoError(t, err, name)
			return
		}
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "nil pointer", name)
	}
	methodsOf(b.repo, func(name string, method reflect.Value) { check(name, callWith(t, name, method, ctx)) })
	for name, manage := range managing {
		check(name, callWith(t, name, reflect.ValueOf(manage), ctx, reflect.ValueOf(b.repo)))
		require.ErrorIs(t, callWith(t, name, reflect.ValueOf(manage), ctx), eventstream.ErrInvalidValue, "%s without a repository", name)
	}
	s := subscribe(t, b, "reader", handlerKinds["tx"](b, nil), nil)
	methodsOf(s, func(name string, method reflect.Value) {
		if name != "Run" {
			_ = callWith(t, name, method, ctx)
		}
	})
	for _, value := range []any{
		eventstream.New(""), &eventstream.EventStream{},
		eventstream.Event{},
		&eventstream.Event{},
		eventstream.PartitionKey{},
		new(eventstream.PartitionKey), eventstream.StreamID(""), eventstream.TenantID(""), eventstream.EventType(""), &eventstream.LogEvent{},
		&eventstream.VersionConflictError{}, &eventstream.BatchError{}, &subscription.HandlerError{}, &eventstream.ImportError{},
		&eventstream.AppendCanceledError{}, &eventstream.EventIDConflictError{}, &subscription.ProjectionMismatchError{}, &eventstream.ReconstructError{},
	} {
		methodsOf(value, func(name string, method reflect.Value) { _ = callWith(t, fmt.Sprintf("%T.%s", value, name), method) })
	}
}

// Every call in a transaction, with valid values and a nil transaction, of either kind of nil, says that it is nil.
func TestAPIWithANilTransaction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	stream := eventstream.New("order-1")
	_, err := stream.AppendEvent(anEvent(t, 1))
	require.NoError(t, err)
	event := anEvent(t, 1)
	event.Version = 1
	valid := []reflect.Value{
		reflect.ValueOf(b.ctx), reflect.ValueOf(eventstream.StreamID("order-1")), reflect.ValueOf(eventstream.Any), reflect.ValueOf(1),
		reflect.ValueOf(int64(1)), reflect.ValueOf("reason"), reflect.ValueOf(stream), reflect.ValueOf([]eventstream.Event{event}),
		reflect.ValueOf([]eventstream.AppendRequest{{StreamID: "order-1", Expected: eventstream.Any, Events: []eventstream.Event{event}}}),
		reflect.ValueOf(eventstream.FromBeginning), reflect.ValueOf(uuid.New()), reflect.ValueOf(func(eventstream.Event) error { return nil }), reflect.ValueOf(byTags("course:7")),
		reflect.ValueOf(eventstream.Erasure{StreamID: "order-1", From: 1, Reason: "reason"}),
		reflect.ValueOf(tallyKind), reflect.ValueOf(eventstream.Snapshot{StreamID: "order-1", Kind: tallyKind, Version: 1}),
	}
	inline, err := eventstream.NewRepository(b.pool, &eventstream.Config{Inline: []eventstream.InlineProjection{
		func(context.Context, pgx.Tx, []eventstream.Event) error { return nil },
	}})
	require.NoError(t, err)
	called := 0
	for _, repo := range []*eventstream.Repository{b.repo, inline} {
		for _, none := range []pgx.Tx{nil, (*pgxpool.Tx)(nil)} {
			repo := repo.WithTx(none)
			check := func(name string, err error) {
				require.ErrorIs(t, err, eventstream.ErrInvalidValue, name)
				if name != "Import" { // it is given no events
					require.ErrorContains(t, err, `invalid tx "nil"`, name)
				}
				called++
			}
			methodsOf(repo, func(name string, method reflect.Value) {
				if name != "WithTx" && name != "ForTenant" { // they return a repository, whose calls say so
					check(name, callWith(t, name, method, valid...))
				}
			})
			for name, manage := range managing {
				check(name, callWith(t, name, reflect.ValueOf(manage), append(slices.Clone(valid), reflect.ValueOf(repo))...))
			}
		}
	}
	require.GreaterOrEqual(t, called, 4*(20+len(managing)))
}

// Every method ends with its context's error where the context has ended before.
func TestAPIWithAnEndedContext(t *testing.T) {
	t.Parallel()
	b := setup(t)
	event := anEvent(t, 1)
	event.Version = 1
	ctx, cancel := context.WithCancel(b.ctx)
	cancel()
	valid := []reflect.Value{
		reflect.ValueOf(ctx), reflect.ValueOf(eventstream.StreamID("order-1")), reflect.ValueOf(eventstream.Any), reflect.ValueOf(1),
		reflect.ValueOf(int64(1)), reflect.ValueOf("reason"), reflect.ValueOf([]eventstream.Event{event}),
		reflect.ValueOf([]eventstream.AppendRequest{{StreamID: "order-1", Expected: eventstream.Any, Events: []eventstream.Event{event}}}),
		reflect.ValueOf(eventstream.FromBeginning), reflect.ValueOf(func(eventstream.Event) error { return nil }), reflect.ValueOf(tallyKind),
		reflect.ValueOf(eventstream.Snapshot{StreamID: "order-1", Kind: tallyKind, Version: 1}), reflect.ValueOf(byTags("course:7")),
		reflect.ValueOf(eventstream.Erasure{StreamID: "order-1", From: 1, Reason: "reason"}),
	}
	s := subscribe(t, b, "reader", handlerKinds["tx"](b, nil), nil)
	p := projector(t, b, counts(nil))
	for _, value := range []any{b.repo, s, p} {
		methodsOf(value, func(name string, method reflect.Value) {
			err := callWith(t, name, method, valid...)
			switch name {
			case "WithTx", "ForTenant", "Import", "Save", "Name": // given no transaction, events or stream
			case "ReadQueryForUpdate":
				require.ErrorIs(t, err, eventstream.ErrInvalidValue, "outside a transaction")
			case "Run":
				require.NoError(t, err, "that is how it is meant to end")
			default:
				require.ErrorIs(t, err, context.Canceled, "%T.%s", value, name)
			}
		})
	}
	for name, manage := range managing {
		err := callWith(t, name, reflect.ValueOf(manage), append(slices.Clone(valid), reflect.ValueOf(b.repo))...)
		require.ErrorIs(t, err, context.Canceled, name)
	}
	require.Zero(t, drawn(t, b))
}

// Constructors refuse what cannot work, of either kind of nil.
func TestAPIConstructorsRefuseNil(t *testing.T) {
	t.Parallel()
	b := setup(t)
	repository := func(handle eventstream.Handle, config *eventstream.Config) error {
		_, err := eventstream.NewRepository(handle, config)
		return err
	}
	subscribe := func(repo *eventstream.Repository, handler subscription.Handler) error {
		_, err := subscription.New(repo, "reader", handler, nil)
		return err
	}
	projector := func(repo *eventstream.Repository) error {
		_, err := subscription.NewProjector(repo, counts(nil))
		return err
	}
	event := func(options ...eventstream.EventOption) error {
		_, err := eventstream.NewEvent("order.placed", 1, options...)
		return err
	}
	onTx, err := eventstream.NewRepository(connect(t, b.dsn, ""), nil)
	require.NoError(t, err)
	handler := handlerKinds["tx"](b, nil)
	for names, err := range map[string]error{
		"handle":             repository(nil, nil),
		"handle 2":           repository((*pgxpool.Pool)(nil), nil),
		"handle 3":           repository((*pgx.Conn)(nil), nil),
		"handle 4":           repository((*pgxpool.Conn)(nil), nil),
		"handle 5":           repository((*pgxpool.Tx)(nil), nil),
		"Config.Inline[1]":   repository(b.pool, &eventstream.Config{Inline: []eventstream.InlineProjection{func(context.Context, pgx.Tx, []eventstream.Event) error { return nil }, nil}}),
		"repository":         subscribe(nil, handler),
		"repository 2":       subscribe(onTx, handler),
		"repository 3":       projector(nil),
		"handler":            subscribe(b.repo, nil),
		"handler 2":          subscribe(b.repo, subscription.TxHandler(nil)),
		"handler 3":          subscribe(b.repo, subscription.EffectHandler(nil)),
		"handler 4":          subscribe(b.repo, subscription.AsyncHandler(nil)),
		"option 1":           event(nil),
		"option 2":           event(eventstream.WithData(nil), nil),
		"stream":             second(b.repo.Save(b.ctx, nil)),
		"sequence of events": second(b.repo.Import(b.ctx, nil)),
		"expected version":   second(b.repo.Append(b.ctx, "order-1", nil, anEvent(t, 1))),
		"number of events":   second(b.repo.Append(b.ctx, "order-1", eventstream.Any)),
		"number of events 2": second(b.repo.AppendMany(b.ctx)),
		"number of events 3": second(b.repo.AppendMany(b.ctx, eventstream.AppendRequest{StreamID: "order-1", Expected: eventstream.Any})),
		"number of events 4": second(b.repo.Ingest(b.ctx, "order-1")),
		"start":              subscription.Reset(b.ctx, b.repo, "reader", nil),
		"Limit":              errorOf([]reflect.Value{reflect.ValueOf(b.repo.ReadLog(b.ctx, eventstream.LogOptions{Limit: -1}))}),
		"Limit 2":            errorOf([]reflect.Value{reflect.ValueOf(b.repo.Read(b.ctx, "order-1", eventstream.ReadOptions{Limit: -1}))}),
	} {
		name := strings.TrimRight(names, " 0123456789")
		if strings.HasPrefix(names, "option") {
			name = names
		}
		require.ErrorIs(t, err, eventstream.ErrInvalidValue, names)
		require.ErrorContains(t, err, name, names)
	}
}

// One event twice in one call is refused before anything is sent, and the error names the event and its streams; the caller's transaction
// lives on. A retry of what went through is a duplicate as ever.
func TestAppendOfOneEventTwice(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e, other := anEvent(t, 1), anEvent(t, 2)
	request := func(id eventstream.StreamID, events ...eventstream.Event) eventstream.AppendRequest {
		return eventstream.AppendRequest{StreamID: id, Expected: eventstream.Any, Events: events}
	}
	stream := eventstream.New("order-1")
	for _, event := range []eventstream.Event{e, other, e} {
		_, err := stream.AppendEvent(event)
		require.NoError(t, err)
	}
	tx, err := b.pool.Begin(b.ctx)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(b.ctx) }()
	for name, err := range map[string]error{
		"Append":                 second(b.repo.Append(b.ctx, "order-1", eventstream.Any, e, e)),
		"Append apart":           second(b.repo.Append(b.ctx, "order-1", eventstream.Any, e, other, e)),
		"WithTx.Append":          second(b.repo.WithTx(tx).Append(b.ctx, "order-1", eventstream.Any, e, e)),
		"AppendMany, one stream": second(b.repo.AppendMany(b.ctx, request("order-1", e), request("order-1", e))),
		"AppendMany, two":        second(b.repo.AppendMany(b.ctx, request("order-1", e), request("order-2", other), request("order-3", e))),
		"WithTx.AppendMany":      second(b.repo.WithTx(tx).AppendMany(b.ctx, request("order-1", e, other), request("order-2", e))),
		"Save":                   second(b.repo.Save(b.ctx, stream)),
	} {
		var conflict *eventstream.EventIDConflictError
		require.ErrorAs(t, err, &conflict, name)
		require.Equal(t, e.ID, conflict.EventID, name)
		require.NotEmpty(t, conflict.StreamID, name)
		require.ErrorContains(t, err, `is given twice in one call, first for stream "order-1"`, name)
	}
	require.Zero(t, drawn(t, b), "nothing was sent")
	_, err = b.repo.WithTx(tx).Append(b.ctx, "order-1", eventstream.Any, other, e)
	require.NoError(t, err, "in whatever order of ids")
	require.NoError(t, tx.Commit(b.ctx))
	result, err := b.repo.Append(b.ctx, "order-1", eventstream.Any, other, e)
	require.NoError(t, err)
	require.True(t, result.Duplicate)

	// Ingest and Import name the event as well.
	first, again := e, e
	first.ID = uuid.New()
	again.ID = first.ID
	first.Version, again.Version = 1, 2
	_, err = b.repo.Ingest(b.ctx, "order-9", first, again)
	require.ErrorIs(t, err, eventstream.ErrEventIDConflict)
	require.ErrorContains(t, err, first.ID.String())
	require.NotContains(t, err.Error(), uuid.Nil.String())
}
