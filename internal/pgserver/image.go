package pgserver

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

const (
	// officialImage is what is used where a registry can be reached.
	officialImage = "postgres:17"

	// builtImage is what is built from Debian packages where none can.
	builtImage = builtPrefix + "17-trixie"

	// builtPrefix starts the name of every image that image/build.sh makes: gapless-postgres:MAJOR-SUITE.
	builtPrefix = "gapless-postgres:"
)

//go:embed image/build.sh image/entrypoint.sh
var imageFiles embed.FS

// Errors of building an image.
var (
	// ErrCannotBuild is returned where the Debian way of making an image does not apply.
	ErrCannotBuild = errors.New("an image can be built from packages only as root on Debian")

	// ErrBuiltName is returned for a GAPLESS_TEST_IMAGE that starts like a built image but does not name one.
	ErrBuiltName = errors.New("the name of a built image is " + builtPrefix + "MAJOR-SUITE, such as " + builtImage)
)

// images is what chooseImage needs of an engine and of the machine, so that its order can be tested.
type images interface {
	has(ctx context.Context, image string) bool
	pull(ctx context.Context, image string) error
	build(ctx context.Context, image string, req request) error
}

// chooseImage gives the name of an image that is present when it returns. An image that is there already is taken before
// a registry is asked: asking costs time in every run where there is none.
func chooseImage(ctx context.Context, in images, req request) (string, error) {
	if image := req.env.image; image != "" {
		return image, obtain(ctx, in, image, req)
	}
	for _, image := range []string{officialImage, builtImage} {
		if in.has(ctx, image) {
			return image, nil
		}
	}
	pullErr := obtain(ctx, in, officialImage, req)
	if pullErr == nil {
		return officialImage, nil
	}
	req.logf("%v", pullErr)
	if err := obtain(ctx, in, builtImage, req); err != nil {
		return "", errors.Join(pullErr, err)
	}
	return builtImage, nil
}

// obtain makes sure that an image is present: it is built if its name says so, else pulled.
func obtain(ctx context.Context, in images, image string, req request) error {
	switch {
	case in.has(ctx, image):
		return nil
	case strings.HasPrefix(image, builtPrefix):
		return in.build(ctx, image, req)
	default:
		req.logf("pulling image %s", image)
		return in.pull(ctx, image)
	}
}

// build makes an image from Debian packages (image/build.sh); minutes of work, once a machine.
func (e *engine) build(ctx context.Context, image string, req request) error {
	major, suite, ok := strings.Cut(strings.TrimPrefix(image, builtPrefix), "-")
	if !ok {
		return fmt.Errorf("%s=%s: %w", envImage, image, ErrBuiltName)
	}
	if err := canBuild(); err != nil {
		return fmt.Errorf("building %s: %w", image, err)
	}
	dir, err := os.MkdirTemp("", "gapless-recipe-")
	if err != nil {
		return fmt.Errorf("building %s: %w", image, err)
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, imageFiles); err != nil {
		return fmt.Errorf("building %s: %w", image, err)
	}

	req.logf("building image %s from Debian packages; this takes some minutes, once", image)
	var output strings.Builder
	cmd := exec.CommandContext(ctx, "sh", filepath.Join(dir, "image", "build.sh"), suite, major, image)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+e.client.DaemonHost())
	cmd.Stdout, cmd.Stderr = &output, &output
	interruptOnCancel(cmd)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", image, err, strings.TrimSpace(output.String()))
	}
	return nil
}

// canBuild says early, and in words, why this machine cannot build an image.
func canBuild() error {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		return ErrCannotBuild
	}
	for _, tool := range []string{"apt-get", "dpkg", "docker"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%w; the program %s is not installed", ErrCannotBuild, tool)
		}
	}
	return nil
}
