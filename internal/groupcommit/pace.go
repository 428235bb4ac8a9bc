package groupcommit

import "time"

const (
	// slowFactor is how many times as long as usual a batch takes that is slow.
	slowFactor = 4
	// The shortest and the longest that a batch may take before it counts as slow.
	minSlow = 20 * time.Millisecond
	maxSlow = time.Second
	// longestWait is how long a batch of several lines waits for a lock at most. It has locks of callers who know nothing of each other, so it
	// can close a circle with a stranger who takes the same locks one by one, and must have given up before anybody takes that for a
	// deadlock, which PostgreSQL does after a second.
	longestWait = time.Second / 4
	// firstPace is what batches are thought to take before any is known: rather long, as on a server where a commit is slow every batch
	// would be taken for one that waits for a lock.
	firstPace = 25 * time.Millisecond
)

// pace knows how long batches usually take.
type pace struct{ usual time.Duration }

func newPace() pace { return pace{firstPace} }

// note takes a batch's duration into account. It moves a step up for each that takes longer than usual and a step down for each
// that does not, so it follows the median: one that takes a thousand times as long moves it no further than any other.
func (p *pace) note(took time.Duration) {
	if took > p.usual {
		p.usual = p.usual * 5 / 4
	} else {
		p.usual = p.usual * 4 / 5
	}
	p.usual = min(max(p.usual, minSlow/slowFactor), maxSlow/slowFactor)
}

// slow is how long a batch may take before it is slow. As long it waits for a lock, up to longestWait.
func (p *pace) slow() time.Duration { return (p.usual * slowFactor).Truncate(time.Millisecond) }
