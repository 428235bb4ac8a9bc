package snapshot_test

import (
	"fmt"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/snapshot"
)

// basket is a state that JSON does not keep whole.
type basket struct {
	Articles map[string]int
	total    int
}

func (b basket) evolve(e eventstream.Event) (basket, error) {
	article, err := eventstream.DecodePayload[string](e)
	if err != nil {
		return b, err
	}
	b.Articles[article]++
	b.total++
	return b, nil
}

// A test of yours gives the events of a stream, and learns that the field total is lost between two loads.
func ExampleCheck() {
	added, err := eventstream.NewEvent("article.added", "bread")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(snapshot.Check(snapshot.Config[basket]{
		Name:    "basket",
		Initial: func() basket { return basket{Articles: map[string]int{}} },
		Evolve:  basket.evolve,
	}, []eventstream.Event{added}))
	// Output:
	// after 1 events: the state was {Articles:map[bread:1] total:1} and comes back as {Articles:map[bread:1] total:0}: let the codec keep all of it
}
