package inspect

import "context"

// replayer stands for the program of an operator.
func replayer(do func(name string) (int, error)) func(context.Context, string) (int, error) {
	return func(_ context.Context, name string) (int, error) { return do(name) }
}
