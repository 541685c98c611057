package server_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/server"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/shared/eventloop"
	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/plugins/mintimeout"
	"github.com/stepagent/stepagent/plugins/sequence"
	"github.com/stepagent/stepagent/plugins/validator"
)

func TestMain(m *testing.M) {
	soaktest.Parallel(4)
	goleak.VerifyTestMain(m)
}

// patience is how long a test waits for something that is to happen at once.
const patience = time.Minute

func defaults() server.Options {
	return server.Options{
		Agent:       "stepagent test",
		Allow:       []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Connections: 16384, ConnectionsPerAddress: 8192, TLSConnections: 2048,
		MessageBytes: protocol.DefaultMaxMessageBytes, MessageTime: patience,
		ReplyTime: patience, PipelinedMessages: 1024, IdleTimeout: 5 * time.Minute,
	}
}

// chain is the default validators, in this process, and more behind them.
func chain(t *testing.T, more ...judge.Member) *judge.Chain {
	t.Helper()
	order, err := sequence.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	timeouts, err := mintimeout.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	members := append([]judge.Member{
		{Name: sequence.Name, Validator: order}, {Name: mintimeout.Name, Validator: timeouts},
	}, more...)
	return judge.NewChain(judge.Options{
		Generation: 1, Limits: judge.Limits{Floor: time.Second, Cap: 30 * time.Second}, AllowFaults: true,
	}, odd{judge.Local(members...)})
}

// odd is a group that has cached its answers for steps with an odd id, so that the loop answers
// these and a goroutine of the connection the others.
type odd struct{ judge.Group }

func (o odd) Try(call *judge.Call) ([]judge.Answer, bool) {
	if call.Step.ID%2 == 0 || call.Fresh {
		return nil, false
	}
	return o.Judge(context.Background(), *call), true
}

func (o odd) Judge(ctx context.Context, call judge.Call) []judge.Answer {
	answers := o.Group.Judge(ctx, call)
	for i := range answers {
		answers[i].Kept = call.Step.ID%2 != 0
	}
	return answers
}

// A harness is a server on a loopback port.
type harness struct {
	*server.Server
	sessions *session.Manager
	addr     string
	client   *tls.Config // of dial; nil for no TLS
}

func start(t *testing.T, options server.Options, more ...judge.Member) *harness {
	t.Helper()
	return startLogging(t, options, io.Discard, more...)
}

func startLogging(t *testing.T, options server.Options, to io.Writer, more ...judge.Member) *harness {
	t.Helper()
	return startJudged(t, options, to, judge.New(chain(t, more...)))
}

func startJudged(t *testing.T, options server.Options, to io.Writer, by session.Judge) *harness {
	t.Helper()
	return startOn(t, listen(t), options, to, by)
}

// listen listens on a loopback port.
func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// newLoops starts loops that end with the test.
func newLoops(t *testing.T, n int) *eventloop.Loops {
	t.Helper()
	loops, err := eventloop.New(n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(loops.Close)
	return loops
}

func startOn(t *testing.T, listener net.Listener, options server.Options, to io.Writer, by session.Judge) *harness {
	t.Helper()
	return startIn(t, newLoops(t, 2), listener, options, slog.New(slog.NewTextHandler(to, nil)), by)
}

func startIn(t *testing.T, loops *eventloop.Loops, listener net.Listener, options server.Options, log *slog.Logger, by session.Judge) *harness {
	t.Helper()
	return startMode(t, loops, listener, server.Plain, options, log, by)
}

func startMode(t *testing.T, loops *eventloop.Loops, listener net.Listener, mode server.Mode, options server.Options, log *slog.Logger, by session.Judge) *harness {
	t.Helper()
	return startSessions(t, loops, listener, mode, options, log, newSessions(by, log))
}

func newSessions(by session.Judge, log *slog.Logger) *session.Manager {
	return session.NewManager(by, session.Options{
		Steps: 10, IdleTimeout: 5 * time.Minute, ResumeWindow: time.Minute, LongestInterval: time.Hour,
		TakeoverWait: 250 * time.Millisecond, RememberedReplies: 64, RememberedBytes: 64 << 20,
		MaxOpen: 16384, MaxOpenPerAddress: 8192,
	}, log)
}

func startSessions(t *testing.T, loops *eventloop.Loops, listener net.Listener, mode server.Mode, options server.Options, log *slog.Logger, sessions *session.Manager) *harness {
	t.Helper()
	h := &harness{Server: server.New(sessions, loops, options, log), sessions: sessions, addr: listener.Addr().String()}
	served := make(chan error, 1)
	go func() { served <- h.Serve(listener, mode) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := h.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		sessions.Close()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return h
}

// A peer is the client's end of one connection.
type peer struct {
	t *testing.T
	net.Conn
	lines *bufio.Reader
}

func (h *harness) dial(t *testing.T) *peer {
	t.Helper()
	conn, err := h.connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return newPeer(t, conn)
}

// connect connects, over TLS if the harness has a config for it.
func (h *harness) connect() (net.Conn, error) {
	if h.client == nil {
		return net.Dial("tcp", h.addr)
	}
	return tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", h.addr, h.client)
}

// closeWrite ends what the client sends.
func (p *peer) closeWrite() {
	p.t.Helper()
	if err := p.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		p.t.Fatal(err)
	}
}

func newPeer(t *testing.T, conn net.Conn) *peer {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &peer{t, conn, bufio.NewReader(conn)}
}

func (p *peer) send(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p, text); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) receive() string {
	p.t.Helper()
	line, err := p.lines.ReadString('\n')
	if err != nil {
		p.t.Fatalf("no reply: %v, after %q", err, line)
	}
	return strings.TrimSuffix(line, "\n")
}

func (p *peer) expect(words ...string) {
	p.t.Helper()
	line := p.receive()
	for _, w := range words {
		if !strings.Contains(line, w) {
			p.t.Fatalf("reply %s: want %s in it", line, w)
		}
	}
}

func (p *peer) expectClosed() {
	p.t.Helper()
	if rest, err := io.ReadAll(p.lines); err != nil || len(rest) > 0 {
		p.t.Fatalf("want the connection closed, got %q, %v", rest, err)
	}
}

// validate is a validator made of a function.
type validate func(context.Context, validator.Session, validator.Step) (validator.Verdict, error)

func (v validate) Validate(ctx context.Context, s validator.Session, step validator.Step) (validator.Verdict, error) {
	return v(ctx, s, step)
}

// faulty asks for the fault at the step with id 2.
func faulty(fault validator.Fault) judge.Member {
	return judge.Member{Name: "faulty", Validator: validate(
		func(_ context.Context, _ validator.Session, step validator.Step) (validator.Verdict, error) {
			v := validator.PassWith(nil)
			if step.ID == 2 {
				v.Fault = &fault
			}
			return v, nil
		})}
}
