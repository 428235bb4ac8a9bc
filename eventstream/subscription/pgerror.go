package subscription

import (
	"encoding/json"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/pgerr"
)

// handlersError is an error that holds one of the user's code.
type handlersError interface {
	error
	ofTheHandler()
}

// explain turns an error of the database into one of this package or of eventstream, by SQLSTATE. What a handler or a Setup returned stays
// as it is: that it looks like an error of ours says nothing.
func explain(c core, err error) error {
	var own handlersError
	var cause *pgconn.PgError
	if errors.As(err, &own) || !errors.As(err, &cause) {
		return err
	}
	if domain := refused(cause); domain != nil {
		return &pgerr.Explained{Domain: domain, Cause: cause}
	}
	return c.Explain(err)
}

// refusalDetail is what the DETAIL of an ES error holds: one JSON object, with those of these fields that matter to it.
type refusalDetail struct {
	Subscription string `json:"subscription"`
	Difference   string `json:"difference"`
	Problem      string `json:"problem"`
	Shard        int    `json:"shard"`
	Epoch        int64  `json:"epoch"`
	CurrentEpoch int64  `json:"current_epoch"`
}

// refused gives the error for a SQLSTATE of class ES that is about subscriptions. A DETAIL that cannot be read costs the numbers, not the
// kind.
func refused(e *pgconn.PgError) error {
	var d refusalDetail
	_ = json.Unmarshal([]byte(e.Detail), &d)
	switch e.Code {
	case "ES010":
		return &NotFoundError{Name: d.Subscription}
	case "ES011":
		return &MismatchError{Name: d.Subscription, Difference: d.Difference}
	case "ES012":
		return &ShardLostError{Subscription: d.Subscription, Shard: d.Shard, Epoch: d.Epoch, CurrentEpoch: d.CurrentEpoch}
	case "ES014":
		return eventstream.ErrTxEnded
	case "ES016":
		return &ProjectionMismatchError{Name: d.Subscription, Problem: d.Problem, Advice: e.Hint}
	}
	return nil
}
