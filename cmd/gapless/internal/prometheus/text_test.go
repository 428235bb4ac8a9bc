package prometheus_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/prometheus"
	"github.com/gaplesspg/gapless/otelgapless"
)

// Values of one metric stand together, and labels are escaped.
func TestWrite(t *testing.T) {
	t.Parallel()
	of := func(name string) []attribute.KeyValue {
		return []attribute.KeyValue{attribute.String("gapless.subscription.name", name), attribute.String("gapless.subscription.shard", "0")}
	}
	var out strings.Builder
	require.NoError(t, prometheus.Write(&out, []otelgapless.Value{
		{Metric: "gapless.subscription.handled", Value: 1e15, Attributes: of("a\"b\\c\nd")},
		{Metric: "gapless.log.position", Value: 12},
		{Metric: "gapless.subscription.handled", Value: 0.5, Attributes: of("mail")},
	}))
	require.Equal(t, `# HELP gapless_log_position The highest position that was drawn.
# TYPE gapless_log_position gauge
gapless_log_position 12
# HELP gapless_subscription_handled_total Events that a shard has handled.
# TYPE gapless_subscription_handled_total counter
gapless_subscription_handled_total{gapless_subscription_name="a\"b\\c\nd",gapless_subscription_shard="0"} 1e+15
gapless_subscription_handled_total{gapless_subscription_name="mail",gapless_subscription_shard="0"} 0.5
`, out.String())
}
