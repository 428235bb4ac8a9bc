// Package progress shows how far long work is, with its rate and the time left: on a terminal, and nowhere else.
package progress

import (
	"cmp"
	"io"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
)

// Unit is what a bar counts.
type Unit int

const (
	// Events are counted one by one.
	Events Unit = iota
	// Bytes are shown in binary units.
	Bytes
	// Percent shows no numbers but the share.
	Percent
)

const (
	barWidth    = 72
	refreshRate = 200 * time.Millisecond
)

// Bar is a line that is drawn anew as work goes on. A nil one does nothing: that of a place which is no terminal.
type Bar struct {
	container *mpb.Progress
	bar       *mpb.Bar
	total     int64
}

// Start shows a bar with a name; a total of 0 is not known. Call End in any case.
func Start(w io.Writer, name string, total int64, unit Unit) *Bar {
	if !output.IsTerminal(w) {
		return nil
	}
	container := mpb.New(mpb.WithOutput(w), mpb.WithWidth(barWidth), mpb.WithRefreshRate(refreshRate))
	before := mpb.PrependDecorators(decor.Name(name, decor.WCSyncSpaceR), counter(unit))
	after := mpb.AppendDecorators(rate(unit), decor.Name(" "), decor.AverageETA(decor.ET_STYLE_GO, decor.WC{W: 4}))
	if total <= 0 {
		return &Bar{container: container, bar: container.AddSpinner(0, before, mpb.AppendDecorators(rate(unit)))}
	}
	// A bar that is made with a total is done for good when it is reached, whatever comes after.
	b := &Bar{container: container, bar: container.AddBar(0, before, after)}
	b.SetTotal(total)
	return b
}

func counter(unit Unit) decor.Decorator {
	switch unit {
	case Bytes:
		return decor.CountersKibiByte("% .1f / % .1f")
	case Percent:
		return decor.Percentage()
	default:
		return decor.CountersNoUnit("%d / %d events")
	}
}

func rate(unit Unit) decor.Decorator {
	switch unit {
	case Bytes:
		return decor.AverageSpeed(decor.SizeB1024(0), "% .1f")
	case Percent:
		return decor.Elapsed(decor.ET_STYLE_GO)
	default:
		return decor.AverageSpeed(0, "%.0f/s")
	}
}

// Set says how far the work is.
func (b *Bar) Set(done int64) {
	if b != nil {
		b.bar.SetCurrent(done)
	}
}

// SetTotal says how much the work is, once that is known.
func (b *Bar) SetTotal(total int64) {
	if b != nil {
		b.total = total
		b.bar.SetTotal(total, false)
	}
}

// End removes the bar if the work failed, or fills it, and waits until it is drawn.
func (b *Bar) End(err error) {
	if b == nil {
		return
	}
	if err != nil {
		b.bar.Abort(true)
	} else {
		b.bar.SetTotal(cmp.Or(b.total, -1), true)
	}
	b.container.Wait()
}

// Reader counts what is read through it.
type Reader struct {
	r    io.Reader
	bar  *Bar
	done int64
}

// Reader shows on the bar how much of r was read.
func (b *Bar) Reader(r io.Reader) *Reader { return &Reader{r: r, bar: b} }

// Read reads on.
func (r *Reader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.done += int64(n)
	r.bar.Set(r.done)
	return n, err
}
