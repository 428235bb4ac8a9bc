package eventstream

import (
	"context"

	"github.com/gaplesspg/gapless/db"
)

// groupCall is one Append. Its fields after turn are written before done is closed, and read after.
type groupCall struct {
	request AppendRequest
	params  db.EventAppendBatchParams
	// events is how many the call has, and bytes about how large they are.
	events, bytes int
	// turn gets a value when the call is to run by itself; done is closed when others ran it. Both are nil if it never waited.
	turn chan *flight
	done chan struct{}
	ctx  context.Context //nolint:containedctx // what a batch takes from its calls
	// batch is what the call went with; nil while it waits. left says that its caller waits no more. Guarded by the group's mu.
	batch *groupBatch
	left  bool

	result AppendResult
	err    error
}

func newGroupCall(request AppendRequest, params db.EventAppendBatchParams) *groupCall {
	call := &groupCall{request: request, params: params, events: len(request.Events)}
	for i := range request.Events {
		e := &request.Events[i]
		call.bytes += len(e.Payload) + len(e.Data) + len(e.Metadata)
	}
	return call
}

// own prepares the call to be run by others. It takes copies of what its caller could change: after the end of its context, the caller
// goes on while the batch may still be read.
func (c *groupCall) own(ctx context.Context) {
	c.ctx = ctx
	c.turn, c.done = make(chan *flight, 1), make(chan struct{})
	copies := make(copiedBytes, 0, c.bytes)
	for i, payload := range c.params.Payloads {
		c.params.Payloads[i] = copies.of(payload)
	}
	for i, data := range c.params.Data {
		c.params.Data[i] = copies.of(data)
	}
	for i, metadata := range c.params.Metadata {
		c.params.Metadata[i] = copies.of(metadata)
	}
	c.request.Events = []Event{{TenantID: c.request.Events[0].TenantID}}
}
