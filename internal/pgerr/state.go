package pgerr

// meaning is what a SQLSTATE says, beside its text.
type meaning int

const (
	// retry: nothing of the statement is left, and another try may do better.
	retry meaning = 1 << iota
	// away: the server does not serve now, and may do so later.
	away
	// condition: it tells of the condition of a server, or of others who use it, and nothing of what it was asked to do.
	condition
)

// states are the SQLSTATEs that mean something; of two letters, a whole class. Of the classes 53 and 58 all are away, but those that a
// configuration brings about, as 53400 and 58P01, are no condition: a handler that runs into one again and again is to stop.
var states = map[string]meaning{
	"08":    retry | away | condition, // connection exceptions
	"25006": condition,                // read-only transaction: a standby by now, or a disk that fills up
	"25P03": condition,                // idle in its transaction for too long
	"25P04": condition,                // in its transaction for too long
	"40001": retry | away | condition, // serialization failure
	"40003": condition,                // statement completion unknown
	"40P01": retry | away | condition, // deadlock detected
	"53":    away,                     // insufficient resources
	"53000": condition,                // insufficient resources
	"53100": condition,                // disk full
	"53200": condition,                // out of memory
	"53300": retry | condition,        // too many connections
	"55P03": condition,                // lock not available
	"57P01": retry | away | condition, // terminated by an administrator
	"57P02": retry | away | condition, // crash shutdown
	"57P03": retry | away | condition, // starting up, or shutting down
	"57P04": condition,                // database dropped
	"57P05": away | condition,         // idle session ended
	"58":    away,                     // system errors
	"58000": condition,                // system error
	"58030": condition,                // input or output error
	"ES006": retry | condition,        // another writer drew its position in between
}

// of is what a SQLSTATE means, by itself or by its class.
func of(code string) meaning { return states[code] | states[code[:min(2, len(code))]] }

// MayRetry says whether nothing is left of a statement that failed with a SQLSTATE, and another try may do better.
func MayRetry(code string) bool { return of(code)&retry != 0 }

// IsAway says whether a SQLSTATE is that of a server that does not serve now and may do so later.
func IsAway(code string) bool { return of(code)&away != 0 }

// IsCondition says whether a SQLSTATE tells of the condition of a server, or of others who use it, and nothing of what was asked of it: a
// handler's try that ends with one does not count. The table of docs/subscriptions.md is this one.
func IsCondition(code string) bool { return of(code)&condition != 0 }

// Conditions lists what IsCondition is true for, each class by its two letters.
func Conditions() []string {
	var codes []string
	for code, m := range states {
		if m&condition != 0 {
			codes = append(codes, code)
		}
	}
	return codes
}
