package certificate_test

import (
	"encoding/pem"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/shared/certificate"
	"github.com/stepagent/stepagent/agent/internal/testkit/certtest"
)

// TestIntermediates: the intermediates in a file are sent, in any order of the file, and one that is
// revoked refuses what it issued.
func TestIntermediates(t *testing.T) {
	t.Parallel()
	root := certtest.New(t)
	upper := root.Intermediate(t, certtest.Template{CN: "Upper"})
	lower := upper.Intermediate(t, certtest.Template{CN: "Lower"})
	certFile, keyFile := lower.Issue(t, agentCert())
	var blocks [][]byte
	for rest := read(t, certFile); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		blocks = append(blocks, pem.EncodeToMemory(block))
	}
	if len(blocks) != 3 {
		t.Fatalf("%d certificates in the file", len(blocks))
	}
	clientFile, clientKey := lower.Issue(t, clientCert())
	config, _ := mustLoadClient(t, certificate.ClientSource{CA: root.File, Certificate: clientFile, Key: clientKey, ServerName: host})
	for _, order := range [][3]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		source := certificate.Source{Key: keyFile, ClientCA: root.File,
			Certificate: write(t, "cert.pem", blocks[order[0]], blocks[order[1]], blocks[order[2]])}
		set := mustLoad(t, source)
		if m := meet(t, set.ServerConfig(), config); m.serverErr != nil || m.clientErr != nil {
			t.Errorf("%v: %v, %v", order, m.serverErr, m.clientErr)
		}
		warnings := set.Warnings(nil)
		if inOrder := order == [3]int{0, 1, 2}; inOrder != (len(warnings) == 0) {
			t.Errorf("%v: warnings %q", order, warnings)
		}
	}

	source := certificate.Source{Certificate: certFile, Key: keyFile, ClientCA: root.File, CRL: root.CRL(t, upper.Cert.SerialNumber)}
	m := meet(t, mustLoad(t, source).ServerConfig(), config)
	wantError(t, m.serverErr, "the client's certificate is issued below CN=Upper, which was revoked at ")
}
