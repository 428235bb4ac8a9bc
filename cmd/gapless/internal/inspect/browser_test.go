package inspect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/internal/leftout"
)

// chromium is started by the first test that needs it, and stopped by TestMain.
var chromium struct {
	once sync.Once
	ctx  context.Context
	stop context.CancelFunc
	err  error
}

func startChromium() {
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if found, err := exec.LookPath(name); err == nil && path == "" {
			path = found
		}
	}
	if path == "" {
		chromium.err = errors.New("chromium is not installed: apt-get install --no-install-recommends chromium")
		return
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.WSURLReadTimeout(2*time.Minute),
		// As root, as in a container, there is no sandbox; what is shown is our own.
		chromedp.NoSandbox, chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("force-color-profile", "srgb"))
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stop := chromedp.NewContext(allocator)
	chromium.ctx, chromium.stop = ctx, func() { stop(); stopAllocator() }
	chromium.err = chromedp.Do(ctx)
}

func stopChromium() {
	if chromium.stop != nil {
		chromium.stop()
	}
}

// tab is a page of a browser that watches what goes wrong.
type tab struct {
	t   *testing.T
	ctx context.Context
	url string

	mu       sync.Mutex
	problems []string
	// cutOff says that a request was given up because an address of the machine came or went. That is another's doing: a container started.
	cutOff bool
}

// networkChanged is what a browser says of a request that it gave up since an address of the machine came or went.
const networkChanged = "net::ERR_NETWORK_CHANGED"

// open gives a tab, as wide as asked for, in a theme.
func open(t *testing.T, address string, width, height int64, scheme string) *tab {
	t.Helper()
	chromium.once.Do(startChromium)
	if chromium.stop == nil && chromium.err != nil {
		leftout.Skip(t, chromium.err)
	}
	require.NoError(t, chromium.err)
	ctx, cancel := chromedp.NewContext(chromium.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx, url: address}
	b.run(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, cdplog.Enable, cdp.Empty{})
		return err
	}), chromedp.EmulateViewport(width, height), chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}})
		return err
	}))
	require.NoError(t, chromedp.Listen(ctx, b.watch))
	t.Cleanup(func() { require.Empty(t, b.seen(), "the browser complained") })
	return b
}

// watch notes errors of scripts, what the policy refused, and dialogs, which no page of ours opens.
func (b *tab) watch(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.note(fmt.Sprintf("%+v", *e.ExceptionDetails))
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError {
			b.note(e.Entry.Text + " " + e.Entry.URL)
		}
	case *cdppage.EventJavascriptDialogOpening:
		b.note("dialog: " + e.Message)
	}
}

func (b *tab) note(problem string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if strings.Contains(problem, networkChanged) {
		b.cutOff = true
		return
	}
	b.problems = append(b.problems, problem)
}

// wasCutOff says whether a request was given up since it was last asked.
func (b *tab) wasCutOff() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.cutOff
	b.cutOff = false
	return was
}

func (b *tab) seen() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.problems...)
}

func (b *tab) run(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, steps...))
}

// visit loads a page with all that belongs to it, and waits until its scripts are at work.
func (b *tab) visit(path string) {
	b.t.Helper()
	for {
		b.wasCutOff()
		_, err := chromedp.Run(b.ctx, chromedp.Navigate(b.url+path))
		if err == nil {
			b.until(atWork)
		} else {
			require.ErrorContains(b.t, err, networkChanged)
			b.note(err.Error())
		}
		if !b.wasCutOff() {
			return
		}
	}
}

// atWork says that the scripts of a page are.
const atWork = `document.querySelector("[data-theme-toggle]")?.hidden === false`

// until waits for a condition in the page, or in the one that follows it, that is there whole: a browser shows what has come of it before. A
// page that was cut off before its scripts came is loaded again, by which nothing is lost.
func (b *tab) until(condition string) {
	b.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		// While a page is loaded there is nothing to ask.
		if met, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](`document.readyState !== "loading" && (`+condition+`)`)); err == nil && met {
			return
		}
		bare, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](`document.readyState === "complete" && !(`+atWork+`)`))
		if err == nil && bare && b.wasCutOff() {
			b.run(chromedp.Reload())
		}
		require.NoError(b.t, b.ctx.Err(), condition)
	}
}

// eval gives what an expression is in the page.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	require.NoError(b.t, err, expression)
	return value
}

// text is what a page shows at a place.
func (b *tab) text(selector string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf(`document.querySelector(%q)?.textContent.trim() ?? "(nothing)"`, selector))
}

// key presses a key where the focus is.
func (b *tab) key(keys string) {
	b.t.Helper()
	b.run(chromedp.KeyEvent(keys))
}

// picture writes what a page looks like into docs/inspector, if UPDATE_PICTURES is set; else it makes sure that there is a picture.
func (b *tab) picture(name string) {
	b.t.Helper()
	path := "../../../../docs/inspector/" + name + ".png"
	if os.Getenv("UPDATE_PICTURES") == "" {
		info, err := os.Stat(path)
		require.NoError(b.t, err, "UPDATE_PICTURES=1 go test -run TestBrowserPictures ./internal/inspect writes it")
		require.Less(b.t, info.Size(), int64(150<<10), strings.TrimPrefix(path, "../../../../"))
		return
	}
	content, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	require.NoError(b.t, err)
	content = small(b.t, content)
	require.Less(b.t, len(content), 150<<10)
	require.NoError(b.t, os.WriteFile(path, content, 0o644))
}

// clickOn presses a button or a link as a mouse does.
func clickOn(selector string) chromedp.Action[chromedp.Void] {
	return chromedp.Click(chromedp.CSS(selector))
}

// small gives the same picture in 256 colours, those that most of it is in.
func small(t *testing.T, content []byte) []byte {
	t.Helper()
	picture, err := png.Decode(bytes.NewReader(content))
	require.NoError(t, err)
	counts := map[color.Color]int{}
	bounds := picture.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			counts[picture.At(x, y)]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(counts), func(a, b color.Color) int { return counts[b] - counts[a] })
	paletted := image.NewPaletted(bounds, colours[:min(len(colours), 256)])
	draw.Draw(paletted, bounds, picture, bounds.Min, draw.Src)
	var b bytes.Buffer
	require.NoError(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, paletted))
	return b.Bytes()
}
