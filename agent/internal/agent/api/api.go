// Package api is the agent's API over HTTP: the state of agent and sessions, and what an operator may
// do. The admin socket and the HTTP listener serve the same handler, and the commands are clients of
// it. The OpenAPI document is generated from the code that serves the requests. Errors are problem
// details, RFC 9457.
package api

import (
	"context"
	"encoding/json"
	"net/http"
	"path"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/shared/jsonl"
	"github.com/stepagent/stepagent/agent/internal/shared/problem"
)

// An Agent is what the API shows and does besides sessions. Its methods are safe for concurrent use.
type Agent interface {
	Status() Status
	Settings() Settings
	// Reload puts the config of the files in force, or returns why not. It is not interrupted when the
	// caller disconnects.
	Reload() error
	// Ready returns why the agent cannot judge a step; nil if it can.
	Ready(ctx context.Context) error
}

// Options are what an API is made of. All but Metrics and Page are needed.
type Options struct {
	Version  string
	Agent    Agent
	Sessions *session.Manager
	// Events serves the events that a Feed publishes.
	Events http.Handler
	// Metrics serves /metrics, and Page what is below / and not the API's; nil for none.
	Metrics, Page http.Handler
}

// Prefix begins the path of every request but those of health, metrics and page.
const Prefix = "/api/v1"

const (
	openAPIPath = Prefix + "/openapi.json"
	pagePattern = http.MethodGet + " /"
)

// New returns the handler of both listeners.
func New(o Options) http.Handler {
	mux := http.NewServeMux()
	config := huma.DefaultConfig("stepagent", o.Version)
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "", "", ""
	config.CreateHooks = nil // no links to schemas in answers
	config.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaName)
	config.Components.Schemas.RegisterTypeAlias(reflect.TypeFor[jsonl.Seconds](), reflect.TypeFor[float64]())
	d := &document{humago.New(mux, config), mux}
	addState(d, o)
	addSessions(d, o.Sessions)
	addHealth(d, o.Agent)
	addEvents(d, o.Events)
	mux.HandleFunc(http.MethodGet+" "+openAPIPath, serveOpenAPI(d))
	if o.Metrics != nil {
		mux.Handle(http.MethodGet+" /metrics", o.Metrics)
	}
	if o.Page != nil {
		mux.Handle(pagePattern, o.Page)
	}
	return &handler{mux}
}

// schemaName names the schema of a type: several packages have one of the same name.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	of := path.Base(t.PkgPath())
	if t.PkgPath() == "" || t.PkgPath() == reflect.TypeFor[Options]().PkgPath() || t == reflect.TypeFor[huma.ErrorModel]() {
		return name
	}
	return strings.ToUpper(of[:1]) + of[1:] + name
}

// A document is the handlers with their description.
type document struct {
	huma.API
	mux *http.ServeMux
}

// get adds a handler that returns a state.
func get[I, O any](d *document, id, path, summary string, errors []int, handle func(context.Context, *I) (O, error)) {
	huma.Register(d, huma.Operation{OperationID: id, Method: http.MethodGet, Path: path, Summary: summary, Errors: errors},
		func(ctx context.Context, in *I) (*body[O], error) {
			out, err := handle(ctx, in)
			return &body[O]{out}, err
		})
}

// plain adds a handler whose answer is not JSON.
func (d *document) plain(o huma.Operation, handle http.Handler) {
	o.Method = http.MethodGet
	d.OpenAPI().AddOperation(&o)
	d.mux.Handle(o.Method+" "+o.Path, handle)
}

type body[T any] struct{ Body T }

type none struct{}

// serveOpenAPI serves the description, which is encoded when the first caller asks for it.
func serveOpenAPI(d *document) http.HandlerFunc {
	encode := sync.OnceValues(func() ([]byte, error) { return json.Marshal(d.OpenAPI()) })
	return func(w http.ResponseWriter, _ *http.Request) {
		text, err := encode()
		if err != nil {
			problem.Write(w, http.StatusInternalServerError, err.Error())
			return
		}
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(text) // the caller has gone
	}
}

// A handler answers requests that no pattern matches with problem details.
type handler struct{ mux *http.ServeMux }

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.matches(r, r.Method) {
		h.mux.ServeHTTP(w, r)
		return
	}
	for _, other := range []string{http.MethodGet, http.MethodPost} {
		if h.matches(r, other) {
			w.Header().Set("Allow", other)
			problem.Write(w, http.StatusMethodNotAllowed, r.URL.Path+" is for "+other)
			return
		}
	}
	problem.Write(w, http.StatusNotFound, "there is no "+r.URL.Path+"; see "+openAPIPath)
}

// matches reports whether there is a handler for the path with the method. The page has none below that
// of the API.
func (h *handler) matches(r *http.Request, method string) bool {
	as := *r
	as.Method = method
	_, pattern := h.mux.Handler(&as)
	return pattern != "" && (pattern != pagePattern || !strings.HasPrefix(r.URL.Path, "/api/"))
}

// secondsOf returns a duration for JSON.
func secondsOf(d time.Duration) jsonl.Seconds { return jsonl.Seconds(max(d, 0)) }
