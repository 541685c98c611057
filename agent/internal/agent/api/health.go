package api

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/stepagent/stepagent/agent/internal/shared/problem"
)

const (
	// readyTime is how long a step may take to pass through the agent.
	readyTime = 5 * time.Second
	// readyAge is how old an answer may be: any number of callers cause one step in this time.
	readyAge = time.Second
)

// The paths of the health checks.
const (
	LivePath  = "/livez"
	ReadyPath = "/readyz"
)

// addHealth adds what service managers and load balancers ask.
func addHealth(d *document, agent Agent) {
	ok := map[string]*huma.Response{
		"200": {Description: "It is", Content: map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: huma.TypeString}}}},
	}
	d.plain(huma.Operation{OperationID: "live", Path: LivePath, Summary: "Check that the agent answers", Responses: ok},
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { word(w, "ok\n") }))
	r := &readiness{check: agent.Ready}
	d.plain(huma.Operation{OperationID: "ready", Path: ReadyPath, Summary: "Check that a step passes through sessions and validators",
		Description: "503 otherwise, as problem details.", Responses: ok}, r)
}

func word(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, text) // the caller has gone
}

// readiness answers whether the agent is ready.
type readiness struct {
	check func(context.Context) error

	mu  sync.Mutex // guards the fields below; held during a check
	at  time.Time
	err error
}

func (r *readiness) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if err := r.ask(); err != nil {
		problem.Write(w, http.StatusServiceUnavailable, "not ready: "+err.Error())
		return
	}
	word(w, "ready\n")
}

func (r *readiness) ask() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at.IsZero() || time.Since(r.at) > readyAge {
		ctx, cancel := context.WithTimeout(context.Background(), readyTime) // also other callers get the result
		defer cancel()
		r.err, r.at = r.check(ctx), time.Now()
	}
	return r.err
}
