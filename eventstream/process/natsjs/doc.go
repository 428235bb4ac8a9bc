// Package natsjs publishes events to NATS JetStream: a process.Publisher, in a module of its own, so that nobody else depends on the client.
//
// [New] takes a connection; process.NewOutbox feeds the publisher. Each event becomes a message whose header Nats-Msg-Id is the event's id, so
// that JetStream drops one that comes again within its window for duplicates (2 minutes unless the stream says otherwise: make it longer than
// your outages). Behind that window consumers know it by the same header.
//
// Events are published one after the other, each once the one before is stored: the order of each stream is kept. As many are on their way
// as the outbox has shards.
package natsjs
