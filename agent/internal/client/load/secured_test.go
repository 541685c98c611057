package load

import (
	"context"
	"crypto/tls"
	"errors"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/certificate"
	"github.com/stepagent/stepagent/agent/internal/testkit/certtest"
)

// A tlsAgent is a fake agent whose clients need certificates of the CA in force.
type tlsAgent struct {
	*fakeAgent
	config atomic.Pointer[tls.Config]
}

// newTLSAgent returns one with a certificate of the CA, which is that of its clients at first.
func newTLSAgent(t *testing.T, ca *certtest.CA, answer func(place int, r request) string) *tlsAgent {
	t.Helper()
	a := &tlsAgent{fakeAgent: &fakeAgent{answer: answer}}
	a.trust(t, ca, ca)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return a.config.Load(), nil }})
	if err != nil {
		t.Fatal(err)
	}
	a.address = listener.Addr().String()
	a.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			a.running.Go(func() { a.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close() // the load is over
		a.running.Wait()
	})
	return a
}

// trust puts a configuration in force for which clients need certificates of a CA.
func (a *tlsAgent) trust(t *testing.T, own, clients *certtest.CA) {
	t.Helper()
	cert, key := own.Issue(t, certtest.Template{CN: "bench-7", IPs: []string{"127.0.0.1"}})
	set, err := certificate.Load(certificate.Source{Certificate: cert, Key: key, ClientCA: clients.File})
	if err != nil {
		t.Fatal(err)
	}
	a.config.Store(set.ServerConfig())
}

// secured are the options of a load over TLS with a client's certificate.
func secured(t *testing.T, address string, clients int, ca *certtest.CA, template certtest.Template) Options {
	t.Helper()
	cert, key := ca.Issue(t, template)
	config, err := certificate.LoadClient(certificate.ClientSource{CA: ca.File, Certificate: cert, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	o := options(t, address, clients)
	o.TLS = config
	return o
}

// A load over TLS is checked like one without, however its clients connect.
func TestRightOverTLS(t *testing.T) {
	ca := certtest.New(t)
	for name, reconnect := range map[string]Reconnect{"one connection": Never, "each session's": EachSession, "each step's own": EachStep} {
		t.Run(name, func(t *testing.T) {
			const steps = 100
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			agent := newTLSAgent(t, ca, func(place int, r request) string {
				if place == steps {
					cancel()
				}
				return r.right()
			})
			o := secured(t, agent.address, 5, ca, certtest.Template{CN: "station-7"})
			o.Reconnect = reconnect
			result, err := Run(ctx, o)
			if err != nil || len(result.Troubles()) > 0 || result.Steps < steps {
				t.Errorf("%d steps, %+v, error %v", result.Steps, result.Troubles(), err)
			}
		})
	}
}

// A refusal that meets all clients is one error with a count, at once, whether it is of the handshake
// or of the first read.
func TestRefusedOverTLS(t *testing.T) {
	ca, other := certtest.New(t), certtest.NewCA(t, certtest.Template{CN: "Other CA"})
	agent := newTLSAgent(t, ca, func(int, request) string { return hangUp })
	untrusting := secured(t, agent.address, 40, other, certtest.Template{CN: "station-7"})
	for name, test := range map[string]struct {
		options Options
		want    string
	}{
		"the client's certificate": {secured(t, agent.address, 40, ca, certtest.Template{CN: "station-7"}.Expired()), "CN=station-7"},
		"the agent's certificate":  {untrusting, "CN=bench-7"},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			_, err := Run(t.Context(), test.options)
			if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), test.want) ||
				!regexp.MustCompile(`\(\d+ connections?\): `).MatchString(err.Error()) {
				t.Errorf("error %v", err)
			}
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// A refusal in the middle of a load is counted, and the clients try again.
func TestRefusedLaterOverTLS(t *testing.T) {
	ca, other := certtest.New(t), certtest.NewCA(t, certtest.Template{CN: "Other CA"})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var agent *tlsAgent
	agent = newTLSAgent(t, ca, func(place int, r request) string {
		switch place {
		case 20:
			agent.trust(t, ca, other)
			time.AfterFunc(200*time.Millisecond, func() { agent.trust(t, ca, ca) })
		case 60:
			cancel()
		}
		return r.right()
	})
	o := secured(t, agent.address, 3, ca, certtest.Template{CN: "station-7"})
	o.Reconnect = EachStep
	result, err := Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	troubles := result.Troubles()
	if len(troubles) != 1 || troubles[0].Kind != "tls_refused" || troubles[0].Class != Refused || troubles[0].Count == 0 ||
		!strings.Contains(troubles[0].Example, "CN=station-7") {
		t.Errorf("%+v", troubles)
	}
}

// Clients without TLS at a port for TLS learn it from the reply, parked or not.
func TestPlainClientsAtAPortForTLS(t *testing.T) {
	agent := newFakeAgent(t, func(int, request) string {
		return `{"step_id":null,"error_code":1,"reason":"bad_message","detail":"this port speaks TLS; connect with TLS"}` + "\n"
	})
	for _, reconnect := range []Reconnect{Never, EachStep} {
		o := options(t, agent.address, 8)
		o.Reconnect = reconnect
		if _, err := Run(t.Context(), o); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "--tls") {
			t.Errorf("error %v", err)
		}
	}
}
