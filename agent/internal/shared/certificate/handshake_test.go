package certificate_test

import (
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/certificate"
	"github.com/stepagent/stepagent/agent/internal/testkit/certtest"
)

// station is how sentences name the client's certificate, and clock the time in a bubble.
const (
	station = "CN=station-7, issued by CN=Test CA, serial 3A:F0, valid 1999-12-31 to 2009-12-28"
	board   = "CN=board-7.example, issued by CN=Test CA, serial 01:05, valid 1999-12-31 to 2009-12-28"
	clock   = "this machine's clock says 2000-01-01T00:00:00Z"
)

// A scene is an agent and a client that are to meet.
type scene struct {
	ca     *certtest.CA
	agent  certtest.Template
	source func(*certificate.Source) // changes the agent's files, if set
	set    *certificate.Set

	clientCA *certtest.CA // which issued the client's certificate
	client   certtest.Template
	trusted  string // the client's --ca
	bare     bool   // the client has no certificate
	config   *tls.Config
	own      *x509.Certificate
}

// TestRefusals: for each reason for which a handshake fails, both sides have a sentence that says it.
func TestRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*testing.T, *scene)          // before the files are made
		then   func(*testing.T, *scene)          // after they were read
		raw    func(net.Conn, *tls.Config) error // the client, if another
		server string                            // of Refusal; empty: the handshake succeeds
		client string                            // of Explain
	}{
		"valid": {},
		"expired": {
			change: func(_ *testing.T, s *scene) { s.client = s.client.Expired() },
			server: "the client's certificate expired at 1999-12-31T23:00:00Z: CN=station-7, issued by CN=Test CA, serial 3A:F0, " +
				"valid 1999-12-30 to 1999-12-31; " + clock,
			client: "the agent at " + server + " refused this client's certificate, which expired at 1999-12-31T23:00:00Z: " +
				"CN=station-7, issued by CN=Test CA, serial 3A:F0, valid 1999-12-30 to 1999-12-31; " + clock +
				"; replace it, or set the clock of this machine",
		},
		"not yet valid": {
			change: func(_ *testing.T, s *scene) { s.client = s.client.NotYetValid() },
			server: "the client's certificate is not valid before 2000-01-02T00:00:00Z: CN=station-7, issued by CN=Test CA, " +
				"serial 3A:F0, valid 2000-01-02 to 2009-12-30; " + clock,
			client: "the agent at " + server + " refused this client's certificate, which is not valid before 2000-01-02T00:00:00Z: " +
				"CN=station-7, issued by CN=Test CA, serial 3A:F0, valid 2000-01-02 to 2009-12-30; " + clock +
				"; wait until then, or set the clock of this machine",
		},
		"wrong CA": {
			change: func(t *testing.T, s *scene) { s.clientCA = certtest.NewCA(t, certtest.Template{CN: "Other CA"}) },
			server: "the client's certificate is signed by no authority of client_ca: CN=station-7, issued by CN=Other CA, " +
				"serial 3A:F0, valid 1999-12-31 to 2009-12-28; " + clock,
			client: "the agent at " + server + " refused this client's certificate, which is signed by no authority that is trusted " +
				"there: CN=station-7, issued by CN=Other CA, serial 3A:F0, valid 1999-12-31 to 2009-12-28; " + clock +
				"; use one that is issued by an authority of the agent's tls.client_ca",
		},
		"wrong usage": {
			change: func(_ *testing.T, s *scene) { s.client.Usage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} },
			server: "the client's certificate is not for this use: its extended key usage lacks clientAuth: " + station + "; " + clock,
			client: "the agent at " + server + " refused this client's certificate, which is not for clients: its extended key usage " +
				"lacks clientAuth: " + station + "; " + clock + "; issue one for clients",
		},
		"no certificate": {
			change: func(_ *testing.T, s *scene) { s.bare = true },
			server: "the client sent no certificate, and client_ca asks each client for one",
			client: "the agent at " + server + " asks for a client certificate; give one with --cert and --key",
		},
		"no certificate, TLS 1.2": {
			change: func(_ *testing.T, s *scene) {
				s.bare, s.source = true, func(source *certificate.Source) { source.MinVersion = tls.VersionTLS12 }
			},
			then:   func(_ *testing.T, s *scene) { s.config.MaxVersion = tls.VersionTLS12 },
			server: "the client sent no certificate, and client_ca asks each client for one",
			client: "the agent at " + server + " refused the handshake; it may ask for a client certificate: give one with " +
				"--cert and --key",
		},
		"revoked": {
			change: func(t *testing.T, s *scene) {
				s.source = func(source *certificate.Source) { source.CRL = s.ca.CRL(t, big.NewInt(0x3af0)) }
			},
			server: "the client's certificate was revoked at 1999-12-31T23:00:00Z: " + station + "; " + clock,
			client: "the agent at " + server + " refused this client's certificate, which may be revoked or not allowed there " +
				"(bad certificate): " + station + "; " + clock + "; the agent's log says why",
		},
		"list past, refused": {
			change: func(t *testing.T, s *scene) {
				s.source = func(source *certificate.Source) {
					source.CRL, source.RefuseExpiredCRL = s.ca.CRLUntil(t, time.Now().Add(-time.Minute)), true
				}
			},
			server: "the client's certificate may be revoked: the list of revoked certificates of CN=Test CA was due to be replaced at " +
				"1999-12-31T23:59:00Z, and crl_expired is refuse: " + station + "; " + clock,
			client: "the agent at " + server + " refused this client's certificate, which may be revoked or not allowed there " +
				"(bad certificate): " + station + "; " + clock + "; the agent's log says why",
		},
		"list past, warned": {
			change: func(t *testing.T, s *scene) {
				s.source = func(source *certificate.Source) { source.CRL = s.ca.CRLUntil(t, time.Now().Add(-time.Minute)) }
			},
		},
		"no identity": {
			change: func(_ *testing.T, s *scene) {
				s.source = func(source *certificate.Source) { source.Identity = []string{"uri", "dns"} }
			},
			server: "the client's certificate has none of the names that identify a client (uri and dns in tls.identity): " + station +
				"; " + clock,
			client: "the agent at " + server + " refused this client's certificate, which may be revoked or not allowed there " +
				"(bad certificate): " + station + "; " + clock + "; the agent's log says why",
		},
		"agent expired": {
			change: func(_ *testing.T, s *scene) { s.agent = s.agent.Expired() },
			server: "the client refused the agent's certificate (bad certificate); it itself says why",
			client: "the certificate of the agent at " + server + " expired at 1999-12-31T23:00:00Z: CN=board-7.example, issued by " +
				"CN=Test CA, serial 01:05, valid 1999-12-30 to 1999-12-31; " + clock + "; replace it, or set the clock of this machine",
		},
		"agent's name": {
			then:   func(_ *testing.T, s *scene) { s.config.ServerName = "board-8.example" },
			server: "the client refused the agent's certificate (bad certificate); it itself says why",
			client: "the certificate of the agent at " + server + " is for board-7.example and not for board-8.example: " + board + "; " +
				clock + "; connect to a name that it is for, or say which one it has with --server-name",
		},
		"CA expired": {
			change: func(t *testing.T, s *scene) {
				s.clientCA = certtest.NewCA(t, certtest.Template{CN: "Old CA"}.Expired())
				s.source = func(source *certificate.Source) { source.ClientCA = s.clientCA.File }
			},
			server: "the client's certificate is issued below CN=Old CA, which expired at 1999-12-31T23:00:00Z: CN=station-7, issued by " +
				"CN=Old CA, serial 3A:F0, valid 1999-12-31 to 2009-12-28; " + clock,
			client: "the agent at " + server + " refused this client's certificate, which is outside its dates by the clock there, or " +
				"an authority above it is: CN=station-7, issued by CN=Old CA, serial 3A:F0, valid 1999-12-31 to 2009-12-28; " + clock +
				"; compare that clock with this one",
		},
		"CA of that name": {
			change: func(t *testing.T, s *scene) { s.clientCA = certtest.New(t) },
			server: "the client's certificate is signed by no authority of client_ca (not by \"Test CA\": ECDSA verification failure): " +
				station + "; " + clock,
			client: "the agent at " + server + " refused this client's certificate, which is signed by no authority that is trusted " +
				"there: " + station + "; " + clock + "; use one that is issued by an authority of the agent's tls.client_ca",
		},
		"self-signed": {
			then: func(t *testing.T, s *scene) {
				cert, key := certtest.SelfSigned(t, clientCert())
				s.config, s.own = mustLoadClient(t, certificate.ClientSource{CA: s.trusted, Certificate: cert, Key: key, ServerName: host})
			},
			server: "the client's certificate is signed by itself and by no authority of client_ca: CN=station-7, issued by " +
				"CN=station-7, serial 3A:F0, valid 1999-12-31 to 2009-12-28; " + clock,
			client: "the agent at " + server + " refused this client's certificate, which is signed by no authority that is trusted " +
				"there: CN=station-7, issued by CN=station-7, serial 3A:F0, valid 1999-12-31 to 2009-12-28; " + clock +
				"; use one that is issued by an authority of the agent's tls.client_ca",
		},
		"revoked by another CA": {
			change: func(t *testing.T, s *scene) { // whose numbers are others
				other := certtest.NewCA(t, certtest.Template{CN: "Other CA"})
				s.source = func(source *certificate.Source) {
					source.ClientCA = write(t, "ca.pem", read(t, s.ca.File), read(t, other.File))
					source.CRL = write(t, "crl.pem", read(t, s.ca.CRL(t)), read(t, other.CRL(t, big.NewInt(0x3af0))))
				}
			},
		},
		"agent's CA": {
			change: func(t *testing.T, s *scene) { s.trusted = certtest.NewCA(t, certtest.Template{CN: "Other CA"}).File },
			server: "the client refused the agent's certificate (bad certificate); it itself says why",
			client: "the certificate of the agent at " + server + " is signed by no authority that is trusted here: " + board + "; " +
				clock + "; give the CA that issued it with --ca",
		},
		"agent's usage": {
			change: func(_ *testing.T, s *scene) { s.agent.Usage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} },
			server: "the client refused the agent's certificate (bad certificate); it itself says why",
			client: "the certificate of the agent at " + server + " is not for this use: its extended key usage lacks serverAuth: " +
				board + "; " + clock + "; issue one for servers",
		},
		"old version": {
			then:   func(_ *testing.T, s *scene) { s.config.MaxVersion = tls.VersionTLS12 },
			server: "the client speaks TLS 1.2 at most; update it, or allow that with tls.min_version",
			client: "the agent at " + server + " speaks none of the versions of TLS that this client does (1.2 and 1.3)",
		},
		"other protocols": {
			then:   func(_ *testing.T, s *scene) { s.config.NextProtos = []string{"h2", "http/1.1"} },
			server: `the client asked for the application protocols (["h2" "http/1.1"]), and the agent speaks stepagent/1`,
			client: server + " speaks TLS, but not stepagent/1; is it an agent?",
		},
		"no protocol": {
			then: func(_ *testing.T, s *scene) { s.config.NextProtos = nil },
		},
		"no TLS": {
			raw: func(conn net.Conn, _ *tls.Config) error {
				_, err := conn.Write([]byte(`{"step_id":1}`))
				return err
			},
			server: `what the client sent is not TLS: first record does not look like a TLS handshake (it begins with 7b 22 73 74 65)`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, test.change)
				if test.then != nil {
					test.then(t, s)
				}
				var m meeting
				if test.raw != nil {
					m = meetRaw(t, s.set.ServerConfig(), func(conn net.Conn) error { return test.raw(conn, s.config) })
				} else {
					m = meet(t, s.set.ServerConfig(), s.config)
				}
				got, ok := certificate.Refusal(m.serverErr)
				if got != test.server || ok != (test.server != "") {
					t.Errorf("server: %v\ngot  %s\nwant %s", m.serverErr, got, test.server)
				}
				got, ok = certificate.Explain(m.clientErr, s.own, server)
				if got != test.client || ok != (test.client != "") {
					t.Errorf("client: %v\ngot  %s\nwant %s", m.clientErr, got, test.client)
				}
			})
		})
	}
}

func newScene(t *testing.T, change func(*testing.T, *scene)) *scene {
	t.Helper()
	s := &scene{ca: certtest.New(t), agent: agentCert(), client: clientCert()}
	s.clientCA, s.trusted = s.ca, s.ca.File
	if change != nil {
		change(t, s)
	}
	source := newSource(t, s.ca, s.agent)
	if s.source != nil {
		s.source(&source)
	}
	s.set = mustLoad(t, source)
	if s.bare {
		s.config, s.own = mustLoadClient(t, certificate.ClientSource{CA: s.trusted, ServerName: host})
	} else {
		s.config, s.own = newClient(t, s.trusted, s.clientCA, s.client)
	}
	return s
}

// TestAnswersWithoutTLS: a client with TLS at a port without it.
func TestAnswersWithoutTLS(t *testing.T) {
	t.Parallel()
	ca := certtest.New(t)
	config, own := mustLoadClient(t, certificate.ClientSource{CA: ca.File, ServerName: host})
	for answer, want := range map[string]string{
		`{"error_code":1,"reason":"bad_message"}`: server + " answers without TLS; leave out --tls, or use the agent's port with TLS",
		"SSH-2.0-OpenSSH_9.2p1\r\n":               server + " does not speak TLS: first record does not look like a TLS handshake",
		"":                                        "",
	} {
		near, far := net.Pipe()
		go func() {
			_, _ = far.Read(make([]byte, 4096)) // a whole ClientHello
			_, _ = far.Write([]byte(answer))
			_ = far.Close()
		}()
		err := tls.Client(near, config).Handshake()
		if got, ok := certificate.Explain(err, own, server); got != want || ok != (want != "") {
			t.Errorf("%q: %v\ngot  %s\nwant %s", answer, err, got, want)
		}
	}
}

// TestKeys: agents and clients with keys of each kind.
func TestKeys(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]certtest.Key{"P-256": certtest.P256, "Ed25519": certtest.Ed25519, "RSA": certtest.RSA} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := certtest.NewCA(t, certtest.Template{CN: "Test CA", Key: kind})
			agent, client := agentCert(), clientCert()
			agent.Key, client.Key = kind, kind
			set := mustLoad(t, newSource(t, ca, agent))
			config, _ := newClient(t, ca.File, ca, client)
			m := meet(t, set.ServerConfig(), config)
			if m.serverErr != nil || m.clientErr != nil || m.state.NegotiatedProtocol != certificate.Protocol ||
				m.state.Version != tls.VersionTLS13 {
				t.Error(m.serverErr, m.clientErr, m.state.NegotiatedProtocol, m.state.Version)
			}
			if identity, err := set.Identity(m.state); identity != "station-7" || err != nil {
				t.Error(identity, err)
			}
		})
	}
}

// TestWithoutClientCA: no client is asked for a certificate, and none has an identity.
func TestWithoutClientCA(t *testing.T) {
	t.Parallel()
	ca := certtest.New(t)
	source := newSource(t, ca, agentCert())
	source.ClientCA = ""
	set := mustLoad(t, source)
	config, _ := newClient(t, ca.File, ca, clientCert())
	m := meet(t, set.ServerConfig(), config)
	identity, err := set.Identity(m.state)
	if m.serverErr != nil || m.clientErr != nil || identity != "" || err != nil || len(m.state.PeerCertificates) > 0 {
		t.Error(m.serverErr, m.clientErr, identity, err)
	}
	wantError(t, set.Verify(m.state))
}
