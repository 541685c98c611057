package daemon

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"strconv"
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/api"
	"github.com/stepagent/stepagent/agent/internal/agent/eventstream"
	"github.com/stepagent/stepagent/agent/internal/agent/livepage"
	"github.com/stepagent/stepagent/agent/internal/agent/metrics"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/shared/weblistener"
)

// Limits of the events for viewers.
const (
	viewerQueueBytes  = 2 << 20
	eventHistoryBytes = 1 << 20
	heartbeatInterval = 15 * time.Second
)

// observers serves the API to the admin socket and to the HTTP listener, and publishes events.
type observers struct {
	log          *slog.Logger
	certificates *certificates
	events       *eventstream.Stream
	handler      http.Handler // of both listeners
	stop         context.CancelFunc
	background   sync.WaitGroup // the feed, tries to open the listener, and servers that close

	mu       sync.Mutex // guards the fields below
	settings config.HTTP
	token    string
	server   *weblistener.Server // nil while the listener is off
	trouble  string              // why it is off
}

func newObservers(a *Agent) *observers {
	o := &observers{log: a.options.Log, certificates: a.certificates, events: eventstream.New(eventstream.Options{
		Viewers: a.config.HTTP.Viewers, QueueBytes: viewerQueueBytes, HistoryBytes: eventHistoryBytes,
		Heartbeat: heartbeatInterval, WriteTime: a.config.HTTP.ReplyTime,
	})}
	handler := sync.OnceValue(func() http.Handler { // not before a request: the description takes time and 0.7 MB
		return api.New(api.Options{Version: a.options.Version, Agent: operator{a}, Sessions: a.sessions, Events: o.events,
			Metrics: metrics.New(a.metrics, a.options.Log), Page: livepage.Handler()})
	})
	o.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler().ServeHTTP(w, r) })
	feed := &api.Feed{Stream: o.events, Sessions: a.sessions, Status: a.Status, Started: a.started, Log: a.options.Log,
		Latency: recentLatency(a.server.Took)}
	ctx, stop := context.WithCancel(context.Background())
	o.stop = stop
	o.background.Go(func() { feed.Run(ctx) })
	return o
}

// status returns the state of the HTTP listener.
func (o *observers) status() api.HTTP {
	if o == nil {
		return api.HTTP{}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.server == nil {
		return api.HTTP{Trouble: o.trouble}
	}
	s := api.HTTP{Address: o.server.Addr().String(), TLS: o.settings.TLS, ReadOnly: o.settings.ReadOnly, Viewers: o.events.Viewers()}
	if !s.ReadOnly || !o.settings.IsLocal() {
		s.TokenFile = o.settings.TokenFile
	}
	return s
}

// close ends the events and the HTTP listener.
func (o *observers) close() {
	o.stop()
	o.events.Close()
	o.background.Wait() // also for a listener that is being opened
	o.mu.Lock()
	server := o.server
	o.server = nil
	o.mu.Unlock()
	if server != nil {
		server.Close(closeTime)
	}
}

// closeTime is how long a request may take that is in progress when a listener is closed.
const closeTime = time.Second

// A nextWeb is the HTTP listener of another config: apply puts it in force, drop discards it unless
// apply was called.
type nextWeb struct {
	observers *observers
	settings  config.HTTP
	token     string
	listener  *net.TCPListener // nil for none
	keep      bool             // the listener in force, as nothing changes
	trouble   string           // why there is no listener, though the config says so
}

// begin is prepare for a start. What clients need is there without HTTP, so that its errors do not end
// the start: the listener is tried again and again.
func (o *observers) begin(ctx context.Context, c *config.Loaded) *nextWeb {
	n, err := o.prepare(ctx, c)
	if err != nil {
		o.log.Error("HTTP is not served; the agent tries again", slog.Any("error", err), slog.Duration("interval", httpInterval))
		n = &nextWeb{observers: o, settings: c.HTTP, trouble: err.Error()}
	}
	return n
}

// httpInterval is how often an HTTP listener is tried again that the start could not open.
const httpInterval = time.Second

// retry tries the HTTP listener again until a try or a reload succeeds, or the agent stops.
func (o *observers) retry(a *Agent) {
	ticker := time.NewTicker(httpInterval)
	defer ticker.Stop()
	for o.status().Trouble != "" {
		select {
		case <-ticker.C:
			o.again(a)
		case <-a.stopping.Done():
			return
		}
	}
}

// again tries the HTTP listener once more, unless a reload is in progress, which does so itself.
func (o *observers) again(a *Agent) {
	select {
	case a.reloading <- struct{}{}:
		defer func() { <-a.reloading }()
	default:
		return
	}
	n, err := o.prepare(a.stopping, a.current())
	if err == nil {
		n.apply()
	}
}

// prepare prepares the HTTP listener of a config beside the one in force. Only reloads, a start and again
// call it, which exclude each other.
func (o *observers) prepare(ctx context.Context, c *config.Loaded) (*nextWeb, error) {
	n := &nextWeb{observers: o, settings: c.HTTP}
	var err error
	if c.HTTP.Listen == "" {
		return n, nil
	}
	if !c.HTTP.ReadOnly || !c.HTTP.IsLocal() {
		if n.token, err = weblistener.Token(c.HTTP.TokenFile); err != nil {
			return nil, config.Problems{c.Problem("http.token_file",
				fmt.Sprintf("%v; or name another file, or set http.read_only to true", err))}
		}
	}
	switch {
	case o.server == nil || c.HTTP.Listen != o.settings.Listen:
		n.listener, err = listenHTTP(ctx, c.HTTP.Listen)
	case n.token == o.token && reflect.DeepEqual(c.HTTP, o.settings):
		n.keep = true
	default:
		n.listener, err = o.server.Listener()
	}
	if err != nil {
		return nil, config.Problems{c.Problem("http.listen", err.Error())}
	}
	return n, nil
}

// listenHTTP listens on an address and a port, which the config has checked.
func listenHTTP(ctx context.Context, address string) (*net.TCPListener, error) {
	host, port, err := net.SplitHostPort(address)
	number, portErr := strconv.Atoi(port)
	if err := errors.Join(err, portErr); err != nil {
		return nil, err
	}
	addrs, err := resolve(ctx, cmp.Or(host, "::"))
	for _, addr := range addrs {
		var s *tcpSocket
		if s, err = openOn(addr, number, "http.listen"); err == nil {
			return s.TCPListener, nil
		}
		if !errors.As(err, new(absentError)) {
			break
		}
	}
	return nil, err
}

func (n *nextWeb) apply() {
	if n.keep {
		return
	}
	o := n.observers
	o.mu.Lock()
	defer o.mu.Unlock()
	old := o.server
	o.settings, o.token, o.server, o.trouble = n.settings, n.token, nil, n.trouble
	o.events.SetLimits(n.settings.Viewers, n.settings.ReplyTime)
	if n.listener != nil {
		readOnly := ""
		if n.settings.ReadOnly {
			readOnly = "http.read_only is set in the agent's config; use the command stepagent instead"
		}
		o.server = weblistener.Serve(n.listener, o.handler, weblistener.Options{
			TLS: o.tlsConfig(n.settings), Private: !n.settings.IsLocal(),
			Hosts: n.settings.Hosts, HostAdvice: "use localhost, or add the name to http.hosts", Token: n.token, ReadOnly: readOnly,
			Connections: n.settings.Connections, HeaderBytes: n.settings.HeaderBytes, RequestTime: n.settings.RequestTime,
			ReplyTime: n.settings.ReplyTime,
		}, o.log)
		n.listener = nil
		o.log.Info("HTTP is served", slog.String("url", api.HTTP{Address: o.server.Addr().String(), TLS: n.settings.TLS}.URL()),
			slog.Bool("read_only", n.settings.ReadOnly), slog.String("token_file", n.settings.TokenFile))
	}
	if old != nil {
		o.background.Go(func() { old.Close(closeTime) })
	}
}

// tlsConfig returns the TLS of the listener, with the certificates in force at each handshake; nil for
// none. A client may have a certificate, which then is checked as that of a client for steps.
func (o *observers) tlsConfig(settings config.HTTP) *tls.Config {
	if !settings.TLS {
		return nil
	}
	return &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		set := o.certificates.current()
		if set == nil { // while a reload that ends TLS replaces the listener
			return nil, errors.New("there is no certificate any more")
		}
		c := set.ServerConfig()
		c.NextProtos = []string{"http/1.1"}
		if c.ClientAuth != tls.NoClientCert {
			c.ClientAuth = tls.VerifyClientCertIfGiven
		}
		c.VerifyConnection = func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return nil
			}
			return set.Verify(state)
		}
		return c, nil
	}}
}

func (n *nextWeb) drop() {
	if n.listener != nil {
		_ = n.listener.Close() // accepted nothing
	}
}

// An operator is the agent as the API has it.
type operator struct{ agent *Agent }

func (o operator) Status() api.Status { return o.agent.Status() }

func (o operator) Settings() api.Settings {
	c := o.agent.current()
	return api.Settings{Files: append([]string{}, c.Files()...), Values: c.Shown()}
}

func (o operator) Reload() error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), startTimeout, errTooLong)
	defer cancel()
	return o.agent.Reload(ctx)
}

// Ready is nil if a step passes through listeners, sessions and validators.
func (o operator) Ready(ctx context.Context) error {
	a := o.agent
	switch {
	case !a.serving.Load():
		return errors.New("the agent starts")
	case a.stopping.Err() != nil:
		return errStops
	}
	for _, l := range a.listenerStates() {
		if l.Absent != "" {
			return fmt.Errorf("no client reaches %s: %s", l.Address, l.Absent)
		}
	}
	return a.server.ProbeVerdict(ctx)
}
