package command

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/otelgapless"
)

// While the database is away the answer is 503, so that Prometheus sees that there is none.
func TestMetricsOfADatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), "postgres://postgres@127.0.0.1:1/none?connect_timeout=2")
	require.NoError(t, err)
	defer pool.Close()
	reader, err := otelgapless.NewStoreReader(pool, nil)
	require.NoError(t, err)
	answer := httptest.NewRecorder()
	metricsHandler(reader).ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusServiceUnavailable, answer.Code)
	require.Contains(t, answer.Body.String(), "cannot read the metrics of the store")
	require.NotContains(t, answer.Body.String(), "gapless_log")
}
