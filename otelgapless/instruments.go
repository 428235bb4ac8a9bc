package otelgapless

import (
	"errors"

	"go.opentelemetry.io/otel/metric"
)

// Bounds of histograms: seconds as OpenTelemetry has them for databases, and numbers of what is in a batch.
var (
	boundsSeconds = []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
	boundsCount   = []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000}
)

// instruments are those of a Tracer.
type instruments struct {
	appendDuration, batchDuration, batchCalls, batchEvents, readDuration, handlerDuration metric.Float64Histogram
	appendEvents, readEvents, handlerEvents                                               metric.Int64Counter
}

func newInstruments(meter metric.Meter) (*instruments, error) {
	var i instruments
	var errs []error
	histogram := func(to *metric.Float64Histogram, name string, bounds []float64) {
		m := metricOf(name)
		made, err := meter.Float64Histogram(m.Name, metric.WithUnit(m.Unit), metric.WithDescription(m.Description),
			metric.WithExplicitBucketBoundaries(bounds...))
		*to, errs = made, append(errs, err)
	}
	counter := func(to *metric.Int64Counter, name string) {
		m := metricOf(name)
		made, err := meter.Int64Counter(m.Name, metric.WithUnit(m.Unit), metric.WithDescription(m.Description))
		*to, errs = made, append(errs, err)
	}
	histogram(&i.appendDuration, metricAppendDuration, boundsSeconds)
	histogram(&i.batchDuration, metricBatchDuration, boundsSeconds)
	histogram(&i.batchCalls, metricBatchCalls, boundsCount)
	histogram(&i.batchEvents, metricBatchEvents, boundsCount)
	histogram(&i.readDuration, metricReadDuration, boundsSeconds)
	histogram(&i.handlerDuration, metricHandlerDuration, boundsSeconds)
	counter(&i.appendEvents, metricAppendEvents)
	counter(&i.readEvents, metricReadEvents)
	counter(&i.handlerEvents, metricHandlerEvents)
	return &i, errors.Join(errs...)
}
