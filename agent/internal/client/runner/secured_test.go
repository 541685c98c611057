package runner_test

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/runner"
	"github.com/stepagent/stepagent/agent/internal/shared/certificate"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
	"github.com/stepagent/stepagent/agent/internal/testkit/certtest"
)

// A tlsAgent serves one script for each connection, over TLS with the configuration in force.
type tlsAgent struct {
	address string
	config  atomic.Pointer[tls.Config]
}

// newTLSAgent serves the scripts until the test ends.
func newTLSAgent(t *testing.T, config *tls.Config, scripts ...script) *tlsAgent {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &tlsAgent{address: l.Addr().String()}
	a.config.Store(config)
	over := make(chan struct{})
	go func() {
		defer close(over)
		for _, serve := range scripts {
			socket, err := l.Accept()
			if err != nil {
				return
			}
			conn := tls.Server(socket, a.config.Load())
			if conn.HandshakeContext(t.Context()) == nil {
				serve(newPeer(conn))
			}
			_ = conn.Close() // nothing is left to send
		}
	}()
	t.Cleanup(func() {
		_ = l.Close() // every connection is over
		<-over
	})
	return a
}

// serverConfig is that of an agent whose clients need certificates of a CA.
func serverConfig(t *testing.T, own, clients *certtest.CA, name string) *tls.Config {
	t.Helper()
	cert, key := own.Issue(t, certtest.Template{CN: name, IPs: []string{"127.0.0.1"}})
	set, err := certificate.Load(certificate.Source{Certificate: cert, Key: key, ClientCA: clients.File})
	if err != nil {
		t.Fatal(err)
	}
	return set.ServerConfig()
}

// clientConfig is that of a client with a certificate.
func clientConfig(t *testing.T, ca *certtest.CA, template certtest.Template) *tls.Config {
	t.Helper()
	cert, key := ca.Issue(t, template)
	config, err := certificate.LoadClient(certificate.ClientSource{CA: ca.File, Certificate: cert, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// soon is procedure with intervals of 1 ms and a timeout that no test waits for.
func soon(ids ...int64) stepfile.Procedure {
	p := procedure(ids...)
	for i := range p.Steps {
		p.Steps[i].Timeout, p.Steps[i].Interval = time.Minute, time.Millisecond
	}
	return p
}

// kinds lists the kinds of the events, one word each.
func kinds(events []record.Event) string {
	var words []string
	for _, e := range events {
		words = append(words, string(e.Kind))
	}
	return strings.Join(words, " ")
}

// runSecured performs a procedure and checks that the events come to the result.
func runSecured(t *testing.T, p stepfile.Procedure, opts runner.Options) (record.Run, []record.Event) {
	t.Helper()
	var events []record.Event
	opts.Emit = func(e record.Event) { events = append(events, e) }
	run, err := runner.Run(t.Context(), p, opts)
	if err != nil {
		t.Fatal(err)
	}
	if folded, err := record.Fold(events); err != nil || folded.Verdict != run.Verdict || folded.Cause != run.Cause {
		t.Errorf("the events come to %v, %v, error %v", folded.Verdict, folded.Cause, err)
	}
	return run, events
}

// The record tells how the connections are secured, once for each way, and the keys decrypt them.
func TestRunOverTLS(t *testing.T) {
	ca := certtest.New(t)
	keys, err := os.Create(filepath.Join(t.TempDir(), "keys.log"))
	if err != nil {
		t.Fatal(err)
	}
	config := clientConfig(t, ca, certtest.Template{CN: "station-7"})
	config.KeyLogWriter = keys
	renewed := serverConfig(t, ca, ca, "bench-7 renewed")
	var agent *tlsAgent
	agent = newTLSAgent(t, serverConfig(t, ca, ca, "bench-7"), each(good, hangUp),
		each(good, func(p *peer) { agent.config.Store(renewed); hangUp(p) }), each(good))
	run, events := runSecured(t, soon(1, 2, 3, 4, 5), runner.Options{Address: agent.address, TLS: config, KeyLog: keys.Name()})
	if outcomes(run) != "passed passed passed passed passed" {
		t.Fatalf("%s: %+v", outcomes(run), run.Steps)
	}
	if got := kinds(events); got != "start tls sent reply interval sent again resent reply interval sent again tls resent reply interval sent reply interval sent reply end" {
		t.Errorf("the events are %s", got)
	}
	issuer, names := "CN=Test CA", []string{}
	for _, secured := range run.TLS {
		names = append(names, secured.Server.Subject)
		if secured.Version != "1.3" || secured.Server.Issuer != issuer || secured.ClientSubject != "CN=station-7" ||
			secured.KeyLog != keys.Name() || secured.Server.Serial == "" || !secured.Server.NotAfter.After(time.Now()) {
			t.Errorf("a connection with %+v", secured)
		}
	}
	if diff := cmp.Diff([]string{"CN=bench-7", "CN=bench-7 renewed"}, names); diff != "" {
		t.Error(diff)
	}
	text, err := os.ReadFile(keys.Name())
	if err != nil || strings.Count(string(text), "CLIENT_TRAFFIC_SECRET_0 ") != 3 {
		t.Errorf("the keys are %s, error %v", text, err)
	}
	if err := keys.Close(); err != nil {
		t.Error(err)
	}
}

// With TLS 1.3 the first read tells that the agent refuses the client's certificate. The run ends with
// one sentence that names it, at the first step as in mid-run.
func TestRefusedCertificate(t *testing.T) {
	ca, other := certtest.New(t), certtest.NewCA(t, certtest.Template{CN: "Other CA"})
	for name, test := range map[string]struct {
		template certtest.Template
		plain    bool
		scripts  []script
		outcomes string
		want     string
	}{
		"at the first step": {certtest.Template{CN: "station-7"}.Expired(), false, []script{each(good), each(good)}, "unreachable not_run not_run", "expired at"},
		"a plain client":    {certtest.Template{CN: "station-7"}.Expired(), true, []script{each(good), each(good)}, "unreachable not_run not_run", "expired at"},
		"in mid-run":        {certtest.Template{CN: "station-7"}, false, []script{each(good, hangUp), each(good), each(good)}, "passed unreachable not_run", "refused this client's certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			reload := serverConfig(t, ca, other, "bench-7")
			var agent *tlsAgent
			scripts := test.scripts
			first := scripts[0]
			scripts[0] = func(p *peer) { agent.config.Store(reload); first(p) }
			agent = newTLSAgent(t, serverConfig(t, ca, ca, "bench-7"), scripts...)
			run, _ := runSecured(t, soon(1, 2, 3), runner.Options{Address: agent.address, Plain: test.plain, TLS: clientConfig(t, ca, test.template)})
			if outcomes(run) != test.outcomes || !run.Refused() || run.Verdict != record.Fail {
				t.Fatalf("%s, cause %q: %+v", outcomes(run), run.Cause, run.Steps)
			}
			at := len(strings.Fields(strings.Split(test.outcomes, "unreachable")[0]))
			detail := run.Steps[at].Detail
			if !strings.Contains(detail, test.want) || !strings.Contains(detail, "CN=station-7") || strings.Contains(detail, "connection was lost") {
				t.Errorf("the detail is %q", detail)
			}
		})
	}
}

// A client that does not trust the agent sends nothing.
func TestUntrustedAgent(t *testing.T) {
	ca, other := certtest.New(t), certtest.NewCA(t, certtest.Template{CN: "Other CA"})
	agent := newTLSAgent(t, serverConfig(t, other, ca, "bench-7"), each(good))
	run, events := runSecured(t, soon(1, 2), runner.Options{Address: agent.address, TLS: clientConfig(t, ca, certtest.Template{CN: "station-7"})})
	if !run.Refused() || kinds(events) != "start unreachable end" || !strings.Contains(run.Steps[0].Detail, "CN=bench-7") {
		t.Errorf("%s, %q: %q", kinds(events), run.Cause, run.Steps[0].Detail)
	}
}

// A client without TLS at a port for TLS, and one with TLS at a port without it.
func TestWrongKindOfPort(t *testing.T) {
	ca := certtest.New(t)
	for name, test := range map[string]struct {
		config *tls.Config
		answer string
		want   string
	}{
		"without TLS": {nil, `{"step_id":null,"error_code":1,"reason":"bad_message","detail":"this port speaks TLS; connect with TLS"}`, "--tls"},
		"with TLS":    {clientConfig(t, ca, certtest.Template{CN: "station-7"}), `{"step_id":null,"error_code":1,"reason":"bad_message","detail":"no JSON"}`, "leave out --tls"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			over := make(chan struct{})
			go func() {
				defer close(over)
				conn, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = conn.Read(make([]byte, 4096))
				_, _ = conn.Write([]byte(test.answer + "\n"))
				_ = conn.Close() // the client has the answer
			}()
			run, _ := runSecured(t, soon(1, 2), runner.Options{Address: l.Addr().String(), TLS: test.config})
			if !run.Refused() || outcomes(run) != "unreachable not_run" || !strings.Contains(run.Steps[0].Detail, test.want) {
				t.Errorf("%s, cause %q: %q", outcomes(run), run.Cause, run.Steps[0].Detail)
			}
			<-over
			_ = l.Close() // its connection is over
		})
	}
}
