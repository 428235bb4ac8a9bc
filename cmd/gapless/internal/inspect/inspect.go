// Package inspect serves pages that show a store to the people who run it: the log as it grows, streams, subscriptions, and whether all is well.
// It reads in read-only transactions that a time limit ends, loads nothing from elsewhere, and escapes every value.
package inspect

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
)

// MinToken is how many bytes a token must have at least.
const MinToken = 16

// Config says what is served, and to whom.
type Config struct {
	// Pool is the store's database.
	Pool *pgxpool.Pool
	// Token is what a caller must know. Default: none, which is for a loopback address alone.
	Token string
	// Hosts are names that the server is reached by, besides localhost and addresses. Default: none.
	Hosts []string
	// Tenant restricts what is shown to one tenant. Default: "", which is all.
	Tenant eventstream.TenantID
	// AllowWrites lets parked events be skipped and replayed. Default: false.
	AllowWrites bool
	// Replay handles what a subscription has parked, and returns how many events it handled. Default: nil, and nothing can be replayed.
	Replay func(ctx context.Context, name string) (int, error)
	// StateSQL gives a stream's state: $1 is the stream, $2 the version, the result one row of JSON. Default: "", which merges payloads.
	StateSQL string
	// Timeout ends a statement of a page. Default: 2 s.
	Timeout time.Duration
	// Poll is how often a page that follows is brought up to date. Default: 500 ms.
	Poll time.Duration
	// Log is where errors are written. Default: nowhere.
	Log io.Writer
}

// Server shows a store.
type Server struct {
	Config
	repo    *eventstream.Repository
	begin   string
	key     []byte
	csrf    string
	pages   map[string]*template.Template
	handler http.Handler
	audit   auditor
	follow  chan struct{}
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup
}

// maxFollowers bounds the pages that follow at a time: each asks the database again and again.
const maxFollowers = 32

// New returns what serves the pages. Close it.
func New(config Config) (*Server, error) {
	if config.Pool == nil {
		return nil, errors.New("inspect: Config.Pool is nil")
	}
	if config.Token != "" && len(config.Token) < MinToken {
		return nil, fmt.Errorf("the token has %d bytes, and must have %d or more", len(config.Token), MinToken)
	}
	if config.Timeout == 0 {
		config.Timeout = 2 * time.Second
	}
	if config.Poll == 0 {
		config.Poll = 500 * time.Millisecond
	}
	if config.Log == nil {
		config.Log = io.Discard
	}
	repo, err := eventstream.NewRepository(config.Pool, nil)
	if err != nil {
		return nil, err
	}
	s := &Server{
		Config: config, repo: repo, begin: beginRead(config.Timeout), key: make([]byte, 32), csrf: rand.Text(), follow: make(chan struct{}, maxFollowers),
	}
	rand.Read(s.key) // never fails
	if s.pages, err = parsePages(); err != nil {
		return nil, err
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.handler = s.guard(s.routes())
	return s, nil
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Close ends what runs in the background.
func (s *Server) Close() {
	s.stop()
	s.running.Wait()
}

// Serve answers on a listener until the context ends.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler: s, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	ended := context.AfterFunc(ctx, func() {
		// Pages that follow end with the context.
		closing, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if server.Shutdown(closing) != nil {
			server.Close()
		}
	})
	defer ended()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", http.RedirectHandler("/log", http.StatusSeeOther))
	mux.HandleFunc("GET /assets/{name}", s.serveAsset)
	mux.HandleFunc("GET /login", s.showLogin)
	mux.HandleFunc("POST /login", s.login)
	mux.HandleFunc("POST /logout", s.logout)
	mux.HandleFunc("GET /log", s.showLog)
	mux.HandleFunc("GET /log/follow", s.followLog)
	mux.HandleFunc("GET /event", s.showEvent)
	mux.HandleFunc("GET /event/payload", s.sendPayload)
	mux.HandleFunc("GET /event/data", s.sendData)
	mux.HandleFunc("GET /stream", s.showStream)
	mux.HandleFunc("GET /streams", s.showStreams)
	mux.HandleFunc("GET /activity", s.showActivity)
	mux.HandleFunc("GET /subscriptions", s.showSubscriptions)
	mux.HandleFunc("GET /subscriptions/follow", s.followSubscriptions)
	mux.HandleFunc("POST /subscriptions/skip", s.skipParked)
	mux.HandleFunc("POST /subscriptions/replay", s.replayParked)
	mux.HandleFunc("GET /health", s.showHealth)
	mux.HandleFunc("GET /health/follow", s.followAudit)
	mux.HandleFunc("POST /health/audit", s.runAudit)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { s.fail(w, http.StatusNotFound, "There is no such page.") })
	return mux
}
