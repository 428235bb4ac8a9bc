package main

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// What an operation was for one account, and what came out for it.
type (
	part struct {
		account eventstream.StreamID
		// in is true for an account that receives.
		in     bool
		amount int64
	}
	outcome struct {
		done             bool
		version, balance int64
	}
	state struct{ version, balance int64 }
)

// accountModel is one account as if all operations on it came one after the other.
func accountModel(deposit int64) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return state{1, deposit} },
		Step: func(before, input, output any) (bool, any) {
			s, p, o := before.(state), input.(part), output.(outcome)
			switch {
			case !o.done: // looked at, or refused
				return o.version == s.version && o.balance == s.balance && (p.amount == 0 || s.balance < p.amount), s
			case p.in:
				return o.version == s.version+1, state{s.version + 1, s.balance + p.amount}
			}
			return o.version == s.version+1 && s.balance >= p.amount, state{s.version + 1, s.balance - p.amount}
		},
	}
}

// byAccount gives the history of each account: a transfer that was made is an operation on two.
func byAccount(history []operation) map[eventstream.StreamID][]porcupine.Operation {
	all := map[eventstream.StreamID][]porcupine.Operation{}
	add := func(op operation, p part, o outcome) {
		all[p.account] = append(all[p.account], porcupine.Operation{
			ClientId: op.customer, Input: p, Call: int64(op.called), Output: o, Return: int64(op.returned),
		})
	}
	for _, op := range history {
		add(op, part{account: op.asked.From, amount: op.asked.Amount}, outcome{op.got.Done, op.got.FromVersion, op.got.Balance})
		if op.got.Done {
			add(op, part{account: op.asked.To, in: true, amount: op.asked.Amount}, outcome{done: true, version: op.got.ToVersion})
		}
	}
	return all
}

func linearizable(deposit int64, history []porcupine.Operation) porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(accountModel(deposit), history, 20*time.Second)
}

// hammering is how long customers give orders; on a busy machine until all kills are made.
const hammering = 12 * time.Second

// Thirty-two customers give orders at random, while processes that carry them out are killed and replaced; an order without an answer is
// given again. Money is neither made nor lost, the history of each account is linearizable, and the projection equals a recount.
func TestHammerBankUnderKills(t *testing.T) {
	t.Parallel()
	dsn, pool, repo := migrated(t)
	o := options{dsn: dsn, accounts: 12, deposit: 100_00, orders: 700, customers: 32, tellers: 4, kills: 6, most: hammering}
	var out bytes.Buffer
	began := time.Now()
	history, err := play(t.Context(), o, repo, &out)
	require.NoError(t, err, &out)
	t.Logf("%s in %s", &out, time.Since(began).Round(time.Millisecond))
	require.GreaterOrEqual(t, len(history), o.orders/3, "on a busy machine, until all kills are made")
	require.NoError(t, writeReport(t.Context(), &out, pool, repo), &out)
	require.Contains(t, out.String(), "Paid in: 1200.00. On all accounts: 1200.00.")
	require.Contains(t, out.String(), "6 tellers were killed")
	require.True(t, slices.ContainsFunc(history, func(op operation) bool { return op.times > 1 }), "a kill left an order without an answer")

	accounts := byAccount(history)
	require.Len(t, accounts, o.accounts)
	for id, operations := range accounts {
		require.Equal(t, porcupine.Ok, linearizable(o.deposit, operations), "%s: %d operations", id, len(operations))
		requireEventForEach(t, repo, id, operations)
	}
}

// requireEventForEach demands that an account has an event for each transfer that was made, and no other but the first.
func requireEventForEach(t *testing.T, repo *eventstream.Repository, id eventstream.StreamID, operations []porcupine.Operation) {
	t.Helper()
	versions := []int64{1}
	for _, op := range operations {
		if o := op.Output.(outcome); o.done {
			versions = append(versions, o.version)
		}
	}
	slices.Sort(versions)
	var stored []int64
	require.NoError(t, repo.Fold(t.Context(), id, 0, func(e eventstream.Event) error {
		stored = append(stored, e.Version)
		return nil
	}))
	require.Equal(t, stored, versions, id)
}

// The check can fail: each of these histories breaks a rule.
func TestHistoriesThatAreNotLinearizable(t *testing.T) {
	t.Parallel()
	out := func(n int64) part { return part{amount: n} }
	in := func(n int64) part { return part{amount: n, in: true} }
	at := func(call, end int64, p part, o outcome) porcupine.Operation {
		return porcupine.Operation{Input: p, Output: o, Call: call, Return: end}
	}
	made := func(version int64) outcome { return outcome{done: true, version: version} }
	for name, c := range map[string]struct {
		want porcupine.CheckResult
		ops  []porcupine.Operation
	}{
		"in order": {porcupine.Ok, []porcupine.Operation{
			at(0, 1, out(60), made(2)), at(2, 3, in(5), made(3)), at(4, 5, part{}, outcome{version: 3, balance: 45}),
		}},
		"at once":               {porcupine.Ok, []porcupine.Operation{at(0, 9, out(60), made(3)), at(0, 9, in(5), made(2))}},
		"refused in between":    {porcupine.Ok, []porcupine.Operation{at(0, 9, out(60), made(2)), at(0, 9, out(50), outcome{version: 2, balance: 40})}},
		"versions against time": {porcupine.Illegal, []porcupine.Operation{at(0, 1, out(60), made(3)), at(2, 3, in(5), made(2))}},
		"overdrawn":             {porcupine.Illegal, []porcupine.Operation{at(0, 9, out(60), made(2)), at(0, 9, out(60), made(3))}},
		"one version twice":     {porcupine.Illegal, []porcupine.Operation{at(0, 9, out(10), made(2)), at(0, 9, out(10), made(2))}},
		"seen too late":         {porcupine.Illegal, []porcupine.Operation{at(0, 1, out(60), made(2)), at(2, 3, part{}, outcome{version: 1, balance: 100})}},
		"refused for nothing":   {porcupine.Illegal, []porcupine.Operation{at(0, 1, out(60), outcome{version: 1, balance: 100})}},
		"a version left out":    {porcupine.Illegal, []porcupine.Operation{at(0, 1, out(10), made(3))}},
	} {
		require.Equal(t, c.want, linearizable(100, c.ops), name)
	}
}
