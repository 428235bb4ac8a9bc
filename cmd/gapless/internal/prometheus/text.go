// Package prometheus writes metrics as Prometheus reads them: its text format, which is a few lines for gauges and counters.
package prometheus

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"

	"github.com/gaplesspg/gapless/otelgapless"
)

// ContentType is what the text format calls itself.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

var (
	inHelp  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	inLabel = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

// Write writes values under the names that OpenTelemetry's exporter gives them. Metrics without a value are left out.
func Write(w io.Writer, values []otelgapless.Value) error {
	out := bufio.NewWriter(w)
	for _, m := range otelgapless.Metrics() {
		first := true
		for _, v := range values {
			if v.Metric != m.Name {
				continue
			}
			name := m.PrometheusName()
			if first {
				fmt.Fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, inHelp.Replace(m.Description), name, m.Kind)
				first = false
			}
			fmt.Fprintf(out, "%s%s %s\n", name, labels(v.Attributes), strconv.FormatFloat(v.Value, 'g', -1, 64))
		}
	}
	return out.Flush()
}

func labels(attributes []attribute.KeyValue) string {
	if len(attributes) == 0 {
		return ""
	}
	parts := make([]string, len(attributes))
	for i, a := range attributes {
		parts[i] = otelgapless.PrometheusLabel(string(a.Key)) + `="` + inLabel.Replace(a.Value.String()) + `"`
	}
	return "{" + strings.Join(parts, ",") + "}"
}
