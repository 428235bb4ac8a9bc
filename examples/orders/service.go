package main

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/codec"
	"github.com/gaplesspg/gapless/eventstream/decider"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// service is all of the program that is neither domain nor read model. The test counts its lines.
type service struct {
	repo   *eventstream.Repository
	events *codec.Registry
	rules  decider.Decider[any, thing]
	runner *subscription.Runner
}

func newService(pool *pgxpool.Pool, to mailer) (*service, error) {
	s := &service{runner: &subscription.Runner{}}
	var err error
	if s.repo, err = eventstream.NewRepository(pool, nil); err != nil {
		return nil, err
	}
	if s.events, err = events(); err != nil {
		return nil, err
	}
	s.rules = rules(s.events)
	for _, model := range readModels() {
		apply, err := codec.NewHandlers(s.events, model.apply...)
		if err != nil {
			return nil, err
		}
		p, err := subscription.NewProjector(s.repo, subscription.Projection{
			Name: model.name, Setup: model.setup, Apply: subscription.ApplyIn(apply.Handle),
			Config: &subscription.Config{Filter: eventstream.LogFilter{Types: apply.Types()}},
		})
		if err != nil {
			return nil, err
		}
		s.runner.Jobs = append(s.runner.Jobs, p)
	}
	mail, err := codec.NewHandlers(s.events, mails()...)
	if err != nil {
		return nil, err
	}
	mailing, err := subscription.New(s.repo, "mails", subscription.EachEvent(mail.With(to)), &subscription.Config{
		Filter: eventstream.LogFilter{Types: mail.Types()}, OnFailure: subscription.ParkStream,
	})
	s.runner.Jobs = append(s.runner.Jobs, mailing)
	return s, err
}

// handle carries out a command about one order or account; the same request again is carried out once.
func (s *service) handle(ctx context.Context, id eventstream.StreamID, request uuid.UUID, command any) error {
	_, err := s.rules.Handle(ctx, s.repo, id, command, decider.WithCommandID(request))
	return err
}

// pay carries out a payment, on the order and the account or on neither.
func (s *service) pay(ctx context.Context, request uuid.UUID, c pay) error {
	order, account := eventstream.StreamID(c.order), eventstream.StreamID(c.account)
	rules := decider.Together(s.rules, func(c pay, things decider.Streams[thing]) ([]eventstream.Event, error) {
		paid, charged, err := decidePayment(c, things.Of(order), things.Of(account))
		return append(decider.On(order, s.events.Event(paid)), decider.On(account, s.events.Event(charged))...), err
	})
	_, err := rules.HandleAcross(ctx, s.repo, []eventstream.StreamID{order, account}, c, decider.WithCommandID(request))
	return err
}

// healthy answers a health check.
func (s *service) healthy(ctx context.Context) error { return s.runner.Healthy(ctx, time.Minute) }
