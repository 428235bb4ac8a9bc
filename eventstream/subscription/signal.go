package subscription

import "sync"

// signal wakes all who wait for it. The zero value is ready.
type signal struct {
	mu sync.Mutex
	// raised is what they wait for; nil while nobody does.
	raised chan struct{}
}

// next returns a channel that is closed when the signal is raised next: taken before a look, it misses nothing that comes after it.
func (s *signal) next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.raised == nil {
		s.raised = make(chan struct{})
	}
	return s.raised
}

func (s *signal) raise() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.raised != nil {
		close(s.raised)
		s.raised = nil
	}
}
