package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/prometheus"
	"github.com/gaplesspg/gapless/otelgapless"
)

const (
	// defaultMetricsListen is OpenTelemetry's port for metrics that Prometheus fetches.
	defaultMetricsListen = "127.0.0.1:9464"
	// requestTimeout bounds how long a client may take to ask and to be answered.
	requestTimeout = 10 * time.Second
)

// metricValue is a value as --json has it.
type metricValue struct {
	Metric     string            `json:"metric"`
	Unit       string            `json:"unit"`
	Value      float64           `json:"value"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

func (a *app) metricsCommand() *cobra.Command {
	var listen string
	var once bool
	cmd := &cobra.Command{
		Use: "metrics", Short: "Serve what the store knows of itself to Prometheus", Args: noArgs,
		Long: `Serves metrics of the log, of what is pending, of subscriptions and of projections at /metrics, for Prometheus to fetch: what otelgapless gives a
service of yours, under the same names. docs/monitoring.md says what each means, with alerts and a dashboard.

It reads them by one statement, at most once in 10 seconds, however many ask. It listens on this machine alone unless --listen says otherwise: whoever
can reach it can read names of subscriptions and numbers, and nothing else. While the database does not answer, it answers 503. Ctrl-C ends it.

It needs SELECT on all tables of the schema, and pg_read_all_stats to see how long other roles' transactions have run.`,
		Example: `  gapless metrics
  gapless metrics --listen 0.0.0.0:9464
  gapless metrics --once | grep lag`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withPool(cmd.Context(), func(pool *pgxpool.Pool) error {
				if once {
					return a.printMetrics(cmd.Context(), pool)
				}
				return a.serveMetrics(cmd.Context(), pool, listen)
			})
		},
	}
	cmd.Flags().StringVar(&listen, "listen", defaultMetricsListen, "address and port to listen on; port 0 is one that is free")
	cmd.Flags().BoolVar(&once, "once", false, "print them, and end")
	return cmd
}

func (a *app) printMetrics(ctx context.Context, pool *pgxpool.Pool) error {
	values, err := otelgapless.ReadStore(ctx, pool)
	if err != nil {
		return err
	}
	if !a.asJSON {
		return prometheus.Write(a.stdout, values)
	}
	units := map[string]string{}
	for _, m := range otelgapless.Metrics() {
		units[m.Name] = m.Unit
	}
	for _, v := range values {
		row := metricValue{Metric: v.Metric, Unit: units[v.Metric], Value: v.Value, Attributes: map[string]string{}}
		for _, attribute := range v.Attributes {
			row.Attributes[string(attribute.Key)] = attribute.Value.String()
		}
		if err := a.out.Record(row); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) serveMetrics(ctx context.Context, pool *pgxpool.Pool, listen string) error {
	reader, err := otelgapless.NewStoreReader(pool, nil)
	if err != nil {
		return err
	}
	if _, err := reader.Read(ctx); err != nil {
		return err // such as a schema that is not there: now, and not at the first request
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return usagef("--listen %s: %w", listen, err)
	}
	server := &http.Server{Handler: metricsHandler(reader), ReadTimeout: requestTimeout, WriteTimeout: requestTimeout}
	if err := a.out.Say("metrics are at http://%s/metrics", listener.Addr()); err != nil {
		return errors.Join(err, listener.Close())
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	return server.Shutdown(last)
}

// metricsHandler answers at /metrics.
func metricsHandler(reader *otelgapless.StoreReader) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "metrics are at /metrics") })
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		// Not the request's context: others may wait for the same answer.
		values, err := reader.Read(context.WithoutCancel(r.Context()))
		if err != nil {
			http.Error(w, oneLine(err.Error()), http.StatusServiceUnavailable)
			return
		}
		var text bytes.Buffer
		if err := prometheus.Write(&text, values); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", prometheus.ContentType)
		_, _ = w.Write(text.Bytes()) // a client that left is nobody's failure
	})
	return mux
}
