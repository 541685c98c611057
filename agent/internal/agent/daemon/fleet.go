package daemon

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/api"
	"github.com/stepagent/stepagent/agent/internal/agent/fleetcontrol"
	"github.com/stepagent/stepagent/agent/internal/agent/outbox"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/shared/natsconn"
)

// fleet is what the agent does in NATS. Without nats.url it starts nothing. Its methods are safe for
// concurrent use, but those of a change exclude each other, as reloads do.
type fleet struct {
	agent   *Agent
	retired sync.WaitGroup // connections that a reload has replaced

	mu    sync.Mutex  // guards the field below; held while the outbox is exchanged
	parts *fleetParts // nil without NATS
}

// fleetParts are those of a config.
type fleetParts struct {
	settings fleetSettings
	conn     *natsconn.Conn
	box      *outbox.Outbox       // nil where results are not published
	control  *fleetcontrol.Server // nil where requests are not answered
}

// fleetSettings are what the parts are made of.
type fleetSettings struct {
	nats             natsconn.Options
	fleet, board     string
	results, control bool
	dir              string // of the record
}

// newFleetSettings returns the settings of a config; nil without NATS.
func newFleetSettings(c *config.Loaded) (*fleetSettings, error) {
	if len(c.NATS.URL) == 0 {
		return nil, nil
	}
	options, err := natsOptions(c, fleetConnection)
	if err != nil {
		return nil, err
	}
	return &fleetSettings{nats: options, fleet: c.Fleet.Name, board: boardName(c), results: c.Fleet.Results, control: c.Fleet.Control,
		dir: c.Record.Dir}, nil
}

// natsOptions returns the options of a connection to NATS but for the log. The servers list it with the board
// and what it is for. The error is config.Problems.
func natsOptions(c *config.Loaded, what string) (natsconn.Options, error) {
	password, err := c.NATSPassword()
	return natsconn.Options{
		URLs: c.NATS.URL, Credentials: c.NATS.Credentials, User: c.NATS.User, Password: password,
		CA: c.NATS.CA, Cert: c.NATS.Cert, Key: c.NATS.Key, Name: "stepagent " + boardName(c) + " " + what,
	}, err
}

// boardName returns the name of the board in the fleet.
func boardName(c *config.Loaded) string {
	host, _ := os.Hostname() // empty for a machine without a name
	return c.Fleet.BoardName(host)
}

// fleetConnection is what the connection of the fleet is for.
const fleetConnection = "fleet"

// connectNATS begins to connect. The error is config.Problems.
func connectNATS(c *config.Loaded, what string, log *slog.Logger) (*natsconn.Conn, error) {
	options, err := natsOptions(c, what)
	if err != nil {
		return nil, err
	}
	options.Log = log
	conn, err := natsconn.Connect(options)
	return conn, natsProblem(c, err)
}

// natsProblem returns an error of package natsconn as a problem of the config.
func natsProblem(c *config.Loaded, err error) error {
	var wrong *natsconn.OptionError
	if errors.As(err, &wrong) {
		return config.Problems{c.Problem("nats."+wrong.Option, wrong.Error())}
	}
	return err
}

// CheckNATS reads the files that the config names for NATS, and connects to nothing.
func CheckNATS(c *config.Loaded) error {
	settings, err := newFleetSettings(c)
	if settings == nil || err != nil {
		return err
	}
	return natsProblem(c, natsconn.Check(settings.nats))
}

// A nextFleet is the fleet of another config: apply puts it in force, drop discards it unless apply was
// called.
type nextFleet struct {
	fleet *fleet
	keep  bool        // nothing changes
	parts *fleetParts // nil without NATS
}

// prepare begins to connect as the config says. An unreachable server is no error.
func (f *fleet) prepare(c *config.Loaded) (*nextFleet, error) {
	settings, err := newFleetSettings(c)
	if err != nil {
		return nil, err
	}
	n := &nextFleet{fleet: f}
	switch old := f.current(); {
	case settings == nil:
		n.keep = old == nil
		return n, nil
	case old != nil && reflect.DeepEqual(old.settings, *settings):
		n.keep = true
		return n, nil
	}
	n.parts = &fleetParts{settings: *settings}
	n.parts.conn, err = connectNATS(c, fleetConnection, f.agent.options.Log)
	return n, err
}

// apply puts the parts in force. What they do follows with begin.
func (n *nextFleet) apply() {
	if n.keep {
		return
	}
	f := n.fleet
	old := f.current()
	old.stopResults()
	f.mu.Lock()
	f.parts = n.parts
	n.parts.open(f.agent.options.Log)
	f.mu.Unlock()
	n.parts = nil
	if old != nil {
		f.retired.Go(func() {
			if old.control != nil {
				old.control.Close() // it may be this reload that is to be answered
			}
			old.conn.Close()
		})
	}
}

// drop discards the parts.
func (n *nextFleet) drop() {
	if n.parts != nil && n.parts.conn != nil {
		n.parts.conn.Close()
	}
}

// begin starts what the parts do that apply has put in force.
func (n *nextFleet) begin() {
	p := n.fleet.current()
	if p == nil || n.keep {
		return
	}
	a := n.fleet.agent
	if p.box != nil {
		p.box.Start()
	}
	if p.settings.control {
		p.control = fleetcontrol.Serve(fleetcontrol.Options{Fleet: p.settings.fleet, Board: p.settings.board, Version: a.options.Version,
			Status: func() any { return a.Status() }, Reload: operator{a}.Reload, Conn: p.conn, Log: a.options.Log})
	}
}

// open reads how far the results are published.
func (p *fleetParts) open(log *slog.Logger) {
	if p == nil || !p.settings.results {
		return
	}
	s := p.settings
	box, err := outbox.Open(outbox.Options{Dir: s.dir, Fleet: s.fleet, Board: s.board, Conn: p.conn, Log: log})
	if err != nil {
		log.Error("results are not published", slog.Any("error", err))
		return
	}
	p.box = box
}

func (p *fleetParts) stopResults() {
	if p != nil && p.box != nil {
		p.box.Close()
	}
}

// current returns the parts in force; nil without NATS.
func (f *fleet) current() *fleetParts {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.parts
}

// removing is told of each file that the record removes.
func (f *fleet) removing(path string) {
	p := f.current()
	if p != nil && p.box != nil && filepath.Clean(p.settings.dir) == filepath.Dir(path) {
		p.box.Removing(path)
	}
}

// silence ends the answers to requests.
func (f *fleet) silence() {
	if p := f.current(); p != nil && p.control != nil {
		p.control.Close()
	}
}

// close publishes what the record has, as far as that takes no longer than outbox.Close says, and ends the
// connections.
func (f *fleet) close() {
	if p := f.current(); p != nil {
		p.stopResults()
		p.conn.Close()
	}
	f.retired.Wait()
}

// awayTime is how long NATS may be away before that counts as trouble: a server that restarts is none.
const awayTime = 30 * time.Second

// status returns the state; the zero value without NATS. It never waits for NATS.
func (f *fleet) status(now time.Time) api.Fleet {
	p := f.current()
	if p == nil {
		return api.Fleet{}
	}
	s := api.Fleet{Name: p.settings.fleet, Board: p.settings.board, Connection: p.conn.Status(), Control: p.settings.control}
	if p.box != nil {
		s.Results = p.box.Status()
		s.Results.Since, s.Results.GapTime = byNow(now, s.Results.Since), byNow(now, s.Results.GapTime)
	}
	connected, since := p.conn.ConnectedSince()
	s.Connected = connected
	if !connected && now.Sub(since) > awayTime {
		s.Trouble = s.Connection
	}
	return s
}
