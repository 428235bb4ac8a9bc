package pgserver

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeImages is an engine that has some images, can pull others, and can build others.
type fakeImages struct {
	present, pullable []string
	buildErr          error
	calls             []string
}

var errNoRegistry = errors.New("no registry")

func (f *fakeImages) has(_ context.Context, image string) bool {
	return slices.Contains(f.present, image)
}

func (f *fakeImages) pull(_ context.Context, image string) error {
	f.calls = append(f.calls, "pull "+image)
	if !slices.Contains(f.pullable, image) {
		return errNoRegistry
	}
	return nil
}

func (f *fakeImages) build(_ context.Context, image string, _ request) error {
	f.calls = append(f.calls, "build "+image)
	return f.buildErr
}

func TestChooseImage(t *testing.T) {
	t.Parallel()
	const forky = builtPrefix + "18-forky"
	for name, tc := range map[string]struct {
		present, pullable []string
		named             string
		want              string
		calls             []string
	}{
		"official, present":      {present: []string{officialImage, builtImage}, want: officialImage},
		"built earlier: no pull": {present: []string{builtImage}, want: builtImage},
		"official, pulled": {
			pullable: []string{officialImage}, want: officialImage,
			calls: []string{"pull " + officialImage},
		},
		"no registry: built":     {want: builtImage, calls: []string{"pull " + officialImage, "build " + builtImage}},
		"named, present":         {named: "x:1", present: []string{"x:1"}, want: "x:1"},
		"named, pulled":          {named: "x:1", pullable: []string{"x:1"}, want: "x:1", calls: []string{"pull x:1"}},
		"named like a built one": {named: forky, want: forky, calls: []string{"build " + forky}},
		"named, built earlier":   {named: builtImage, present: []string{builtImage}, want: builtImage},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := &fakeImages{present: tc.present, pullable: tc.pullable}
			got, err := chooseImage(t.Context(), fake, request{env: environment{image: tc.named}})
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
			require.Equal(t, tc.calls, fake.calls)
		})
	}
}

func TestChooseImageSaysBothReasons(t *testing.T) {
	t.Parallel()
	_, err := chooseImage(t.Context(), &fakeImages{buildErr: ErrCannotBuild}, request{})
	require.ErrorIs(t, err, errNoRegistry)
	require.ErrorIs(t, err, ErrCannotBuild)
}

func TestChooseImageNamedIsNotReplaced(t *testing.T) {
	t.Parallel()
	fake := &fakeImages{present: []string{officialImage, builtImage}}
	_, err := chooseImage(t.Context(), fake, request{env: environment{image: "x:1"}})
	require.ErrorIs(t, err, errNoRegistry)
}

func TestBuildRefusesOtherNames(t *testing.T) {
	t.Parallel()
	err := (&engine{}).build(t.Context(), "gapless-postgres:17", request{})
	require.ErrorIs(t, err, ErrBuiltName)
}

// TestImageScriptsParse catches what only the rare machine that builds an image would notice.
func TestImageScriptsParse(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"image/build.sh", "image/entrypoint.sh"} {
		out, err := exec.CommandContext(t.Context(), "sh", "-n", script).CombinedOutput()
		require.NoError(t, err, "%s: %s", script, out)
		_, err = imageFiles.Open(script)
		require.NoError(t, err, "%s is not embedded", script)
	}
}
