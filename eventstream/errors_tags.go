package eventstream

import (
	"errors"
	"fmt"
)

// ErrDecisionConflict says that an event came that a decision should have known. See DecisionConflictError.
var ErrDecisionConflict = errors.New("decision conflict: read the query again and decide anew")

// DecisionConflictError says that AppendIf appended nothing, since an event that matches the query came after the position.
type DecisionConflictError struct {
	// Position is the one that was decided on.
	Position int64
	// Found is the position of the first matching event after it.
	Found int64
}

// Error names both positions.
func (e *DecisionConflictError) Error() string {
	return fmt.Sprintf("decided at position %d, but the event at position %d matches the query: read the query again and decide anew",
		e.Position, e.Found)
}

// Is matches ErrDecisionConflict.
func (e *DecisionConflictError) Is(target error) bool { return target == ErrDecisionConflict }
