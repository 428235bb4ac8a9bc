package command

import (
	"context"
	"io"
)

// inputBuffer is how much is read from standard input at once.
const inputBuffer = 256 << 10

// input is standard input that an interrupt ends: a read from a terminal or a pipe may never return by itself.
type input struct {
	ctx    context.Context // a reader is given none in its call
	r      io.Reader
	buffer []byte
	rest   []byte
}

func (a *app) input(ctx context.Context) io.Reader {
	return &input{ctx: ctx, r: a.in, buffer: make([]byte, inputBuffer)}
}

// Read reads on, or gives the context's error.
func (i *input) Read(p []byte) (int, error) {
	if len(i.rest) > 0 {
		n := copy(p, i.rest)
		i.rest = i.rest[n:]
		return n, nil
	}
	type result struct {
		n   int
		err error
	}
	read := make(chan result, 1)
	go func() { // which is left behind by an interrupt, and then the program ends
		n, err := i.r.Read(i.buffer)
		read <- result{n, err}
	}()
	select {
	case <-i.ctx.Done():
		return 0, i.ctx.Err()
	case got := <-read:
		n := copy(p, i.buffer[:got.n])
		i.rest = i.buffer[n:got.n]
		if len(i.rest) > 0 {
			return n, nil // an error comes again
		}
		return n, got.err
	}
}
