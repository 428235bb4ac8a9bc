package subscription

import (
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Judgement is what an error of a handler means for what it was to handle.
type Judgement struct {
	// Permanent says that no further try can help: the handler said so, by Permanent.
	Permanent bool
	// Counts says that the try counts as one. It does not if the error tells of the condition of a server, or if the handler said RetryAfter.
	Counts bool
	// After is the pause that the handler asked for, by RetryAfter; 0 if it did not.
	After time.Duration
}

// JudgeError judges an error as a subscription judges that of its handler, for other code that calls handlers, as package process does with
// those of timers. lost says that the connection of the transaction that the handler was given is gone.
func JudgeError(err error, lost bool) Judgement {
	v := judge(err, lost, func(*pgconn.Config) bool { return lost })
	return Judgement{Permanent: v.permanent, Counts: v.counts, After: max(v.after, 0)}
}
