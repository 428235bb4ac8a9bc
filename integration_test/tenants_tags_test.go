package integration_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// A decision is made on the tenant's events: those of another match no query, whatever tags they carry.
func TestForTenantDecidesOnItsOwnEvents(t *testing.T) {
	t.Parallel()
	b := setup(t)
	own := repoOn(t, poolAs(t, b, tenantLogin(t, b, acme))).ForTenant(acme)
	_, err := b.repo.ForTenant(rival).Append(b.ctx, "course-rival", eventstream.Any, tagged(t, "course-1"))
	require.NoError(t, err)
	events, at, err := own.ReadQuery(b.ctx, byTags("course-1"), 0)
	require.NoError(t, err)
	require.Empty(t, events)
	_, err = b.repo.ForTenant(rival).Append(b.ctx, "course-rival", eventstream.Any, tagged(t, "course-1"))
	require.NoError(t, err)
	_, err = own.AppendIf(b.ctx, byTags("course-1"), at, toStream("course-acme", tagged(t, "course-1")))
	require.NoError(t, err, "what the rival appended meanwhile is nothing to it")
	_, err = own.AppendIf(b.ctx, byTags("course-1"), at, toStream("course-acme", tagged(t, "course-1")))
	require.ErrorIs(t, err, eventstream.ErrDecisionConflict)
	events, _, err = own.ReadQuery(b.ctx, byTags("course-1"), 0)
	require.NoError(t, err)
	require.Len(t, events, 1)
}
