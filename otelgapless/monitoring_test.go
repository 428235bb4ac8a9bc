package otelgapless_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/gaplesspg/gapless/internal/leftout"
	"github.com/gaplesspg/gapless/otelgapless"
)

const (
	page      = "../docs/monitoring.md"
	alerts    = "../docs/monitoring/alerts.yaml"
	dashboard = "../docs/monitoring/grafana.json"
)

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(text)
}

// The page has a row for each metric: as it is in the list.
func TestThePageHasEveryMetric(t *testing.T) {
	t.Parallel()
	var rows []string
	for line := range strings.Lines(read(t, page)) {
		if strings.HasPrefix(line, "| `gapless.") || strings.HasPrefix(line, "| `db.") {
			rows = append(rows, strings.TrimSpace(line))
		}
	}
	var want []string
	for _, m := range otelgapless.Metrics() {
		attributes := "`" + strings.Join(m.Attributes, "`, `") + "`"
		if len(m.Attributes) == 0 {
			attributes = "-"
		}
		want = append(want, fmt.Sprintf("| `%s` | `%s` | %s | %s | %s | %s |",
			m.Name, m.PrometheusName(), m.Kind, m.Unit, attributes, m.Description))
	}
	require.Equal(t, want, rows, "the rows of the page:\n%s", strings.Join(want, "\n"))
}

// query is an expression for Prometheus, and where it stands.
type query struct{ where, expr string }

type alertRules struct {
	Groups []struct {
		Rules []struct {
			Alert, Expr, For string
			Annotations      map[string]string
		}
	}
}

func readAlerts(t *testing.T) alertRules {
	t.Helper()
	var rules alertRules
	require.NoError(t, yaml.Unmarshal([]byte(read(t, alerts)), &rules))
	return rules
}

// queries are all of the rules and of the dashboard.
func queries(t *testing.T) (all []query) {
	t.Helper()
	for _, group := range readAlerts(t).Groups {
		for _, rule := range group.Rules {
			all = append(all, query{rule.Alert, rule.Expr})
		}
	}
	var board struct {
		Templating struct {
			List []struct {
				Name  string
				Query json.RawMessage
			}
		}
		Panels []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(read(t, dashboard)), &board))
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			all = append(all, query{panel.Title, target.Expr})
			for _, label := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(target.LegendFormat, -1) {
				require.Contains(t, target.Expr, label[1], "%s: a legend of what its query does not keep", panel.Title)
			}
		}
	}
	for _, variable := range board.Templating.List {
		if found := regexp.MustCompile(`label_values\([^)]*\)`).FindString(string(variable.Query)); found != "" {
			all = append(all, query{variable.Name, found})
		}
	}
	return all
}

var (
	quoted = regexp.MustCompile(`"[^"]*"`)
	word   = regexp.MustCompile(`[a-zA-Z_][a-zA-Z0-9_]*`)
)

// Rules and dashboard ask for nothing that is not measured, by metric and by label, and the dashboard leaves out no metric.
func TestQueriesAskForWhatIsMeasured(t *testing.T) {
	t.Parallel()
	// What a name may be in a query beside a metric.
	known := []string{"le", "by", "sum", "max", "rate", "absent", "histogram_quantile", "label_values", "__rate_interval", "subscription", "m"}
	labels, names := map[string][]string{}, map[string]string{}
	for _, m := range otelgapless.Metrics() {
		for _, suffix := range []string{"", "_bucket", "_count", "_sum"} {
			if (suffix == "") == (m.Kind != otelgapless.Histogram) {
				names[m.PrometheusName()+suffix] = m.Name
			}
		}
		for _, attribute := range m.Attributes {
			labels[m.Name] = append(labels[m.Name], otelgapless.PrometheusLabel(attribute))
		}
	}
	asked := map[string]bool{}
	all := queries(t)
	require.Greater(t, len(all), 40)
	for _, q := range all {
		var metrics, others []string
		for _, name := range word.FindAllString(quoted.ReplaceAllString(q.expr, ""), -1) {
			if of, found := names[name]; found {
				metrics = append(metrics, of)
				asked[of] = true
			} else if !slices.Contains(known, name) {
				others = append(others, name)
			}
		}
		require.NotEmpty(t, metrics, "%s: %s", q.where, q.expr)
		for _, name := range others {
			for _, metric := range metrics {
				require.Contains(t, labels[metric], name, "%s: %s has neither a metric nor a label %s", q.where, q.expr, name)
			}
		}
	}
	for _, m := range otelgapless.Metrics() {
		require.True(t, asked[m.Name], "nothing shows %s", m.Name)
	}
}

// The page says of every rule what to do, under a heading that the rule names.
func TestThePageSaysWhatToDoAboutEveryAlert(t *testing.T) {
	t.Parallel()
	var headings, names []string
	for _, match := range regexp.MustCompile(`(?m)^### (Gapless\w+)$`).FindAllStringSubmatch(read(t, page), -1) {
		headings = append(headings, match[1])
	}
	for _, group := range readAlerts(t).Groups {
		for _, rule := range group.Rules {
			names = append(names, rule.Alert)
			require.Equal(t, "docs/monitoring.md#"+strings.ToLower(rule.Alert), rule.Annotations["runbook"])
			require.NotEmpty(t, rule.Annotations["summary"])
			require.NotEmpty(t, rule.For)
		}
	}
	require.Equal(t, names, headings)
}

// Prometheus itself takes the rules, and they fire when they should: testdata/alerts_test.yaml.
func TestAlertsFire(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("promtool"); err != nil {
		leftout.Skip(t, errors.New("promtool is not installed: apt-get install prometheus"))
	}
	for _, args := range [][]string{{"check", "rules", alerts}, {"test", "rules", filepath.Join("testdata", "alerts_test.yaml")}} {
		out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
}
