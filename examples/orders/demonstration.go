package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
)

// printer prints mails in place of sending them.
type printer struct{}

func (printer) Send(_ context.Context, _, subject string) error {
	fmt.Println("mail:", subject)
	return nil
}

// demonstrate orders, pays and ships, and shows what the read models make of it.
func demonstrate(ctx context.Context, s *service, pool *pgxpool.Pool) error {
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.runner.Run(ctx) }()
	name := uuid.NewString()[:8]
	orderID, accountID := "order-"+name, "account-"+name
	err := errors.Join(
		s.handle(ctx, stream(accountID), uuid.New(), credit{Cents: 5000}),
		s.handle(ctx, stream(orderID), uuid.New(), place{Customer: "ada", Cents: 4200}),
		s.pay(ctx, uuid.New(), pay{orderID, accountID}),
		s.handle(ctx, stream(orderID), uuid.New(), ship{}),
	)
	if err == nil {
		err = s.level(ctx)
	}
	if err == nil {
		var orders, cents, left int64
		err = pool.QueryRow(ctx, `SELECT c.orders, c.cents, a.cents FROM customers.customers AS c, accounts.accounts AS a
			WHERE c.customer = 'ada' AND a.account = $1`, accountID).Scan(&orders, &cents, &left)
		fmt.Printf("ada has ordered %d times for %d cents; %s has %d cents left\n", orders, cents, accountID, left)
	}
	stop()
	return errors.Join(err, <-ended)
}

// level waits until the read models and the mails have come to where the log is now.
func (s *service) level(ctx context.Context) error {
	head, err := s.repo.LogHead(ctx)
	for _, job := range s.runner.Jobs {
		follower, ok := job.(interface {
			Create(ctx context.Context) error
			WaitFor(ctx context.Context, position int64) error
		})
		if !ok || err != nil {
			continue
		}
		// The runner may not have come to it yet, and one that does not exist cannot be waited for.
		if err = follower.Create(ctx); err == nil {
			err = follower.WaitFor(ctx, head.Position)
		}
	}
	return err
}
