package otelgapless

import (
	"slices"
	"strings"
)

// Kind is how the values of a metric are to be read.
type Kind string

const (
	// Gauge is a value that goes up and down.
	Gauge Kind = "gauge"
	// Counter is a value that rises, until what counts is begun anew.
	Counter Kind = "counter"
	// Histogram are many values, by size.
	Histogram Kind = "histogram"
)

// Source says who measures.
type Source string

const (
	// SourceStore is ObserveStore, and the command gapless metrics.
	SourceStore Source = "store"
	// SourceProcess is a Tracer.
	SourceProcess Source = "process"
	// SourcePool is ObservePool.
	SourcePool Source = "pool"
)

// Metric describes a metric that this package gives.
type Metric struct {
	// Name is its name, and Unit its unit as UCUM has it: in braces what is counted.
	Name, Unit string
	// Kind says how to read it, and Source who measures it.
	Kind   Kind
	Source Source
	// Description is a sentence.
	Description string
	// Attributes are the names of its attributes.
	Attributes []string
}

// Attributes of metrics.
const (
	attrSubscription = "gapless.subscription.name"
	attrShard        = "gapless.subscription.shard"
	attrState        = "gapless.subscription.state"
	attrRebuild      = "gapless.projection.rebuild.state"
	attrOutcome      = "gapless.outcome"
	attrOperation    = "gapless.operation"
	attrPool         = "db.client.connection.pool.name"
	attrConnState    = "db.client.connection.state"
)

// Names of what a process measures.
const (
	metricAppendDuration  = "gapless.append.duration"
	metricAppendEvents    = "gapless.append.events"
	metricBatchDuration   = "gapless.batch.duration"
	metricBatchCalls      = "gapless.batch.calls"
	metricBatchEvents     = "gapless.batch.events"
	metricReadDuration    = "gapless.read.duration"
	metricReadEvents      = "gapless.read.events"
	metricHandlerDuration = "gapless.handler.duration"
	metricHandlerEvents   = "gapless.handler.events"
)

// Names of what the database knows.
const (
	metricLogPosition    = "gapless.log.position"
	metricLogStable      = "gapless.log.stable_position"
	metricLogUnstable    = "gapless.log.unstable"
	metricLogHeld        = "gapless.log.held"
	metricLogEvents      = "gapless.log.events"
	metricLogSize        = "gapless.log.size"
	metricPendingEvents  = "gapless.pending.events"
	metricPendingAge     = "gapless.pending.age"
	metricLagEvents      = "gapless.subscription.lag.events"
	metricLagTime        = "gapless.subscription.lag.time"
	metricHandled        = "gapless.subscription.handled"
	metricParked         = "gapless.subscription.parked"
	metricTries          = "gapless.subscription.tries"
	metricFailing        = "gapless.subscription.failing"
	metricShards         = "gapless.subscription.shards"
	metricRebuilds       = "gapless.projection.rebuilds"
	metricRebuildLag     = "gapless.projection.rebuild.lag"
	metricUnfitTables    = "gapless.projection.unfit"
	metricPoolCount      = "db.client.connection.count"
	metricPoolMax        = "db.client.connection.max"
	metricPoolWaits      = "gapless.pool.waits"
	metricPoolWaitTime   = "gapless.pool.wait_time"
	metricPoolCanceled   = "gapless.pool.canceled"
	metricPoolNew        = "gapless.pool.opened"
	unitSeconds          = "s"
	unitEvents           = "{event}"
	unitPositions        = "{position}"
	connectionStateIdle  = "idle"
	connectionStateInUse = "used"
)

var metrics = []Metric{
	{metricLogPosition, unitPositions, Gauge, SourceStore, "The highest position that was drawn.", nil},
	{metricLogStable, unitPositions, Gauge, SourceStore, "How far the log can be read.", nil},
	{metricLogUnstable, unitPositions, Gauge, SourceStore, "How many positions were drawn and cannot be read yet, since a transaction holds them.", nil},
	{metricLogHeld, unitSeconds, Gauge, SourceStore, "How long the transaction has run that holds the log back; 0 if none does.", nil},
	{metricLogEvents, unitEvents, Counter, SourceStore, "Events in the log, up to where it can be read.", nil},
	{metricLogSize, "By", Gauge, SourceStore, "What the events take on disk, with their indexes.", nil},
	{metricPendingEvents, unitEvents, Gauge, SourceStore, "Events that wait for a version before them.", nil},
	{metricPendingAge, unitSeconds, Gauge, SourceStore, "How long the oldest of these has waited; 0 if none does.", nil},
	{metricLagEvents, unitEvents, Gauge, SourceStore, "Events that a shard has not handled yet, whatever its filter.", []string{attrSubscription, attrShard}},
	{metricLagTime, unitSeconds, Gauge, SourceStore, "How long ago the oldest of these was appended; 0 if there is none.", []string{attrSubscription, attrShard}},
	{metricHandled, unitEvents, Counter, SourceStore, "Events that a shard has handled.", []string{attrSubscription, attrShard}},
	{metricParked, unitEvents, Gauge, SourceStore, "Events that a shard has put aside.", []string{attrSubscription, attrShard}},
	{metricTries, "{try}", Gauge, SourceStore, "How often the handler failed on the event at which a shard stands.", []string{attrSubscription, attrShard}},
	{metricFailing, unitSeconds, Gauge, SourceStore, "How long a shard has failed there; 0 while it does not.", []string{attrSubscription, attrShard}},
	{metricShards, "{shard}", Gauge, SourceStore, "Shards by state: owned, free, owner is gone, paused.", []string{attrSubscription, attrState}},
	{metricRebuilds, "{rebuild}", Gauge, SourceStore, "Rebuilds of a projection by state: running, interrupted.", []string{attrSubscription, attrRebuild}},
	{metricRebuildLag, unitPositions, Gauge, SourceStore, "How many positions a rebuild is behind the end of the log.", []string{attrSubscription}},
	{metricUnfitTables, "{projection}", Gauge, SourceStore, "1 if the tables of a projection and its checkpoint do not belong together, else 0.", []string{attrSubscription}},
	{metricAppendDuration, unitSeconds, Histogram, SourceProcess, "How long appends took, with their commit.", []string{attrOutcome}},
	{metricAppendEvents, unitEvents, Counter, SourceProcess, "Events appended.", nil},
	{metricBatchDuration, unitSeconds, Histogram, SourceProcess, "How long statements took that append for several callers.", []string{attrOutcome}},
	{metricBatchCalls, "{call}", Histogram, SourceProcess, "How many calls shared a statement.", nil},
	{metricBatchEvents, unitEvents, Histogram, SourceProcess, "How many events shared a statement.", nil},
	{metricReadDuration, unitSeconds, Histogram, SourceProcess, "How long loads and pages took.", []string{attrOperation, attrOutcome}},
	{metricReadEvents, unitEvents, Counter, SourceProcess, "Events read.", []string{attrOperation}},
	{metricHandlerDuration, unitSeconds, Histogram, SourceProcess, "How long calls of a handler took.", []string{attrSubscription, attrOutcome}},
	{metricHandlerEvents, unitEvents, Counter, SourceProcess, "Events that a handler returned from without an error.", []string{attrSubscription}},
	{metricPoolCount, "{connection}", Gauge, SourcePool, "Connections of the pool by state: idle, used.", []string{attrPool, attrConnState}},
	{metricPoolMax, "{connection}", Gauge, SourcePool, "How many connections the pool may have.", []string{attrPool}},
	{metricPoolWaits, "{acquire}", Counter, SourcePool, "How often a caller had to wait for a connection.", []string{attrPool}},
	{metricPoolWaitTime, unitSeconds, Counter, SourcePool, "How long callers waited, together.", []string{attrPool}},
	{metricPoolCanceled, "{acquire}", Counter, SourcePool, "How often a caller gave up waiting.", []string{attrPool}},
	{metricPoolNew, "{connection}", Counter, SourcePool, "Connections opened.", []string{attrPool}},
}

// Metrics lists what this package measures.
func Metrics() []Metric { return slices.Clone(metrics) }

// metricOf is a metric of the list.
func metricOf(name string) Metric {
	return metrics[slices.IndexFunc(metrics, func(m Metric) bool { return m.Name == name })]
}

// PrometheusName is the name under which OpenTelemetry's exporter and collector give the metric to Prometheus, unless they are told
// otherwise: with underscores, and with unit and kind behind it. Of a histogram, Prometheus has names with _bucket, _count and _sum behind that.
func (m Metric) PrometheusName() string {
	name := strings.ReplaceAll(m.Name, ".", "_")
	switch m.Unit {
	case unitSeconds:
		name += "_seconds"
	case "By":
		name += "_bytes"
	}
	if m.Kind == Counter {
		name += "_total"
	}
	return name
}

// PrometheusLabel is the name of an attribute as a label of Prometheus.
func PrometheusLabel(attribute string) string { return strings.ReplaceAll(attribute, ".", "_") }
