package main

import (
	"bytes"
	"flag"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOptionsHaveDefaults(t *testing.T) {
	t.Parallel()
	o, err := parseOptions(nil, &bytes.Buffer{})
	require.NoError(t, err)
	require.NoError(t, o.validate())
	require.Equal(t, options{
		rounds: 5, duration: 400 * time.Millisecond, growth: []int{10_000, 1_000_000}, group: true, sizes: defaultSizes(),
	}, o)
	require.True(t, o.wants("log"))
}

func TestOptionsAreRead(t *testing.T) {
	t.Parallel()
	o, err := parseOptions([]string{
		"-out", "a", "-docs", "b", "-only", "log,growth", "-callers", "1,16", "-rounds", "7", "-duration", "1s", "-growth", "", "-group=false",
	}, &bytes.Buffer{})
	require.NoError(t, err)
	require.NoError(t, o.validate())
	require.Equal(t, options{
		out: "a", docs: "b", only: []string{"log", "growth"}, callers: []int{1, 16}, rounds: 7, duration: time.Second,
		sizes: defaultSizes(),
	}, o)
	require.True(t, o.wants("growth"))
	require.False(t, o.wants("storage"))
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	for _, arguments := range [][]string{
		{"-only", "log,loh"},
		{"-callers", "0"},
		{"-callers", "129"},
		{"-callers", "one"},
		{"-rounds", "0"},
		{"-duration", "0s"},
		{"-growth", "999"},
		{"-growth", "2000,1000"},
		{"log"},
	} {
		o, err := parseOptions(arguments, &bytes.Buffer{})
		if err == nil {
			err = o.validate()
		}
		require.Error(t, err, arguments)
	}
}

func TestHelpNamesTheCases(t *testing.T) {
	t.Parallel()
	var usage bytes.Buffer
	_, err := parseOptions([]string{"-h"}, &usage)
	require.ErrorIs(t, err, flag.ErrHelp)
	for _, name := range names() {
		require.Contains(t, usage.String(), name)
	}
}

func TestCallersReplaceThoseOfCasesForMany(t *testing.T) {
	t.Parallel()
	for _, c := range cases() {
		require.Equal(t, c.callers, options{}.callersOf(c))
		want := []int{2, 3}
		if c.name == "log" || c.name == "import" {
			want = []int{1}
		}
		require.Equal(t, want, options{callers: []int{2, 3}}.callersOf(c), c.name)
	}
}
