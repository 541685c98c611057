package client_test

import (
	"crypto/tls"
	"errors"
	"net"
	"testing"

	"github.com/stepagent/stepagent/agent/client"
	"github.com/stepagent/stepagent/agent/internal/shared/certificate"
	"github.com/stepagent/stepagent/agent/internal/testkit/certtest"
)

// Over TLS 1.3 an agent refuses a client's certificate after the handshake. That is no lost connection.
func TestRefusedByTLS(t *testing.T) {
	ca := certtest.New(t)
	cert, key := ca.Issue(t, certtest.Template{CN: "bench-7", IPs: []string{"127.0.0.1"}})
	set, err := certificate.Load(certificate.Source{Certificate: cert, Key: key, ClientCA: ca.File})
	if err != nil {
		t.Fatal(err)
	}
	refuse := func(p *peer) { _ = tls.Server(p.conn, set.ServerConfig()).HandshakeContext(t.Context()) }
	address := listen(t, refuse, refuse, refuse)
	config, err := certificate.LoadClient(certificate.ClientSource{CA: ca.File})
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.Dial(t.Context(), address, client.Options{Dial: (&tls.Dialer{Config: config}).DialContext})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Do(t.Context(), step(1, generous))
	var alert *net.OpError
	if !errors.Is(err, client.ErrUnreachable) || errors.Is(err, client.ErrConnectionLost) || !errors.As(err, &alert) {
		t.Errorf("error %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
