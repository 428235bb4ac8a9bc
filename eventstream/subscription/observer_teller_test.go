package subscription

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// What an observer has no time for is left out and counted, and nobody waits for it.
func TestTellerCountsWhatItLeavesOut(t *testing.T) {
	t.Parallel()
	const count = observationsAhead + 500
	entered, leave := make(chan struct{}), make(chan struct{})
	enter := sync.OnceFunc(func() { close(entered) })
	var told []Observation
	teller := newTeller("reader", func(o Observation) {
		enter()
		<-leave
		told = append(told, o)
	})
	teller.tell(ShardClaimed{Subscription: "reader"})
	<-entered
	for i := range count {
		teller.tell(BatchHandled{Position: int64(i)})
	}
	close(leave)
	teller.close()
	require.Equal(t, ShardClaimed{Subscription: "reader"}, told[0])
	require.Equal(t, ObservationsMissed{Subscription: "reader", Count: count - observationsAhead}, told[1])
	require.Len(t, told, 2+observationsAhead)
	for i, o := range told[2:] {
		require.Equal(t, BatchHandled{Position: int64(i)}, o)
	}
	teller.tell(ShardClaimed{}) // late, by a handler that is stuck: nobody is told, nobody waits
}

// A panic of an observer costs one observation.
func TestTellerGoesOnAfterAPanic(t *testing.T) {
	t.Parallel()
	var told []Observation
	teller := newTeller("reader", func(o Observation) {
		told = append(told, o)
		if len(told) == 1 {
			panic("boom")
		}
	})
	teller.tell(ShardClaimed{})
	teller.tell(ShardReleased{})
	teller.close()
	require.Equal(t, []Observation{ShardClaimed{}, ShardReleased{}}, told)
}
