package integration_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
)

// docs:start
// enrol gives a student a seat of a course, if the course has one left and the student takes fewer than three courses. Neither rule is one
// stream's: the decision is on all events that carry one tag or the other.
func enrol(ctx context.Context, repo *eventstream.Repository, student, course string, seats int) error {
	query := eventstream.Query{{Tags: []string{"course:" + course}}, {Tags: []string{"student:" + student}}}
	for {
		events, position, err := repo.ReadQuery(ctx, query, 0)
		if err != nil {
			return err
		}
		taken, courses := 0, 0
		for _, e := range events {
			tags := e.Tags()
			if tags[0] == "course:"+course {
				taken++
			}
			if tags[1] == "student:"+student {
				courses++
			}
		}
		if taken >= seats || courses >= 3 {
			return fmt.Errorf("no seat in %s for %s", course, student)
		}

		subscribed, err := eventstream.NewEvent("student.subscribed", nil, eventstream.WithTags("course:"+course, "student:"+student))
		if err != nil {
			return err
		}
		_, err = repo.AppendIf(ctx, query, position, eventstream.AppendRequest{
			StreamID: eventstream.StreamID("course-" + course), Expected: eventstream.Any, Events: []eventstream.Event{subscribed},
		})
		if !errors.Is(err, eventstream.ErrDecisionConflict) {
			return err
		}
		// Somebody was faster: decide anew, on what is there now.
	}
}

// docs:end

func Example_tags() {
	runExample(func(ctx context.Context, pool *pgxpool.Pool) error {
		repo, err := exampleRepository(ctx, pool, nil)
		if err != nil {
			return err
		}
		for _, student := range []string{"ada", "bob", "eve"} {
			if err := enrol(ctx, repo, student, "go", 2); err != nil {
				fmt.Println(err)
			}
		}
		events, _, err := repo.ReadQuery(ctx, eventstream.Query{{Tags: []string{"course:go"}}}, 0)
		for _, e := range events {
			fmt.Println(e.StreamID, e.Version, e.Type, e.Tags())
		}
		return err
	})
	// Output:
	// no seat in go for eve
	// course-go 1 student.subscribed [course:go student:ada]
	// course-go 2 student.subscribed [course:go student:bob]
}
