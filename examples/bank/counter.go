package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/google/uuid"
)

// stoppingTakes is how long a teller may take to end in order.
const stoppingTakes = 10 * time.Second

// position is a process that serves orders, as the program sees it.
type position struct {
	cmd   *exec.Cmd
	input io.WriteCloser
	// ended is closed when the process has ended; said is what it had to say, and err how it ended.
	ended chan struct{}
	said  bytes.Buffer
	err   error

	mu sync.Mutex
	// waiting are the orders without an answer; nil once there will be none any more.
	waiting map[uuid.UUID]chan<- answer
}

// startTeller starts this program again, as a teller.
func startTeller(dsn string) (*position, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &position{cmd: exec.Command(program), ended: make(chan struct{}), waiting: map[uuid.UUID]chan<- answer{}}
	p.cmd.Env = environment(dsn)
	p.cmd.Stderr = &p.said
	if p.input, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	output, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.ended)
		p.listen(output)
		p.err = p.cmd.Wait()
	}()
	return p, nil
}

// listen hands out answers until the process has gone, and then tells those who wait that there will be none.
func (p *position) listen(output io.Reader) {
	for lines := bufio.NewScanner(output); lines.Scan(); {
		var a answer
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			continue // cut off in the middle by a kill
		}
		p.mu.Lock()
		if asked, ok := p.waiting[a.ID]; ok {
			asked <- a
			delete(p.waiting, a.ID)
		}
		p.mu.Unlock()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, asked := range p.waiting {
		close(asked)
	}
	p.waiting = nil
}

// ask gives an order, and waits for the answer. It is not answered if the process is gone first: nobody knows what became of it then.
func (p *position) ask(o order) (a answer, answered bool) {
	line, err := json.Marshal(o)
	if err != nil {
		return answer{}, false
	}
	asked := make(chan answer, 1)
	p.mu.Lock()
	if p.waiting == nil {
		p.mu.Unlock()
		return answer{}, false
	}
	p.waiting[o.ID] = asked
	_, err = p.input.Write(append(line, '\n'))
	p.mu.Unlock()
	if err != nil {
		<-p.ended // and asked is closed
	}
	a, answered = <-asked
	return a, answered
}

// kill ends the process as the kernel would: nothing is cleaned up, no transaction ended, no connection closed by it.
func (p *position) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// stop lets it end in order.
func (p *position) stop() error {
	_ = p.input.Close()
	select {
	case <-p.ended:
		if p.err != nil {
			return fmt.Errorf("a teller: %w: %s", p.err, p.said.String())
		}
		return nil
	case <-time.After(stoppingTakes):
		p.kill()
		return errors.New("a teller did not end")
	}
}

// counter is the positions that customers go to.
type counter struct {
	dsn string

	mu        sync.Mutex
	positions []*position
	kills     int
}

func openCounter(dsn string, tellers int) (*counter, error) {
	c := &counter{dsn: dsn}
	for range tellers {
		p, err := startTeller(dsn)
		if err != nil {
			return nil, errors.Join(err, c.close())
		}
		c.positions = append(c.positions, p)
	}
	return c, nil
}

// at is the n-th position.
func (c *counter) at(n int) *position {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.positions[n%len(c.positions)]
}

// replace kills the n-th teller, and puts another one in its place. One that has ended by itself is an error.
func (c *counter) replace(n int) error {
	old := c.at(n)
	select {
	case <-old.ended:
		return errors.Join(fmt.Errorf("a teller ended, though nobody killed it: %s", old.said.String()), old.err)
	default:
	}
	p, err := startTeller(c.dsn)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.positions[n%len(c.positions)] = p
	c.kills++
	c.mu.Unlock()
	old.kill()
	return nil
}

func (c *counter) close() error {
	var errs []error
	for _, p := range c.positions {
		errs = append(errs, p.stop())
	}
	return errors.Join(errs...)
}
