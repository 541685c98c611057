package main

import (
	"crypto/tls"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stepagent/stepagent/agent/internal/shared/certificate"
	"github.com/stepagent/stepagent/agent/internal/testkit/certtest"
)

// A tlsSite has the certificates of a lab. Its files are
//
//	ca.pem                    the CA of its agent and of its clients
//	station.pem, station.key  a client's certificate, CN=station-7
//	expired.pem, expired.key  one that has expired
//	other.pem                 another CA
//	stranger.pem, stranger.key  a client's certificate of that CA
type tlsSite struct {
	files map[string]string // paths by name
	// agent is the configuration of an agent for 127.0.0.1 and localhost whose clients need
	// certificates of ca.pem, and retrusting one whose clients need certificates of other.pem.
	agent, retrusting *tls.Config
}

func newTLSSite(t *testing.T) *tlsSite {
	t.Helper()
	ca, other := certtest.NewCA(t, certtest.Template{CN: "Lab CA"}), certtest.NewCA(t, certtest.Template{CN: "Other CA"})
	s := &tlsSite{files: map[string]string{"ca.pem": ca.File, "other.pem": other.File}}
	issue := func(name string, ca *certtest.CA, template certtest.Template) {
		s.files[name+".pem"], s.files[name+".key"] = ca.Issue(t, template)
	}
	issue("station", ca, certtest.Template{CN: "station-7"})
	issue("expired", ca, certtest.Template{CN: "station-7"}.Expired())
	issue("stranger", other, certtest.Template{CN: "stranger"})
	cert, key := ca.Issue(t, certtest.Template{CN: "bench-7", DNS: []string{"localhost", "bench-7"}, IPs: []string{"127.0.0.1"}})
	config := func(clients *certtest.CA) *tls.Config {
		set, err := certificate.Load(certificate.Source{Certificate: cert, Key: key, ClientCA: clients.File})
		if err != nil {
			t.Fatal(err)
		}
		return set.ServerConfig()
	}
	s.agent, s.retrusting = config(ca), config(other)
	return s
}

// cmdCertificates copies the files to the folder of a script.
func cmdCertificates(ts *testscript.TestScript, _ bool, _ []string) {
	for name, path := range ts.Value(siteKey{}).(*tlsSite).files {
		text, err := os.ReadFile(path)
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(name), text, 0o600))
	}
}
