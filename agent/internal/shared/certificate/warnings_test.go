package certificate_test

import (
	"crypto/x509"
	"math/big"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/shared/certificate"
	"github.com/stepagent/stepagent/agent/internal/testkit/certtest"
)

var bigOne = big.NewInt(1)

// TestWarnings: FILE, KEY, CA and CRL stand for the files.
func TestWarnings(t *testing.T) {
	for name, test := range map[string]struct {
		agent  certtest.Template
		change func(*testing.T, *certtest.CA, *certificate.Source)
		hosts  []string
		want   []string
	}{
		"none": {hosts: []string{host, "0.0.0.0", "::", "[::]", ""}},
		"RSA": {
			agent: certtest.Template{Key: certtest.RSA},
			want:  []string{"FILE has an RSA key, with which a handshake takes the agent more than twice the processor time; P-256 and Ed25519 are faster"},
		},
		"hosts": {
			agent: certtest.Template{IPs: []string{"10.0.0.7"}},
			hosts: []string{host, "10.0.0.7", "10.0.0.8", "board-8.example"},
			want: []string{"FILE is for board-7.example and 10.0.0.7 and not for 10.0.0.8 and board-8.example; clients that connect there " +
				"refuse it, unless they say which name it has (stepctl: --server-name)"},
		},
		"CN alone": {
			agent: certtest.Template{DNS: []string{}},
			hosts: []string{host},
			want: []string{"FILE is for no name (it has no subject alternative names) and not for board-7.example; clients that connect " +
				"there refuse it, unless they say which name it has (stepctl: --server-name)"},
		},
		"usage": {
			agent: certtest.Template{Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}},
			want:  []string{"FILE is not for servers, so that clients refuse it; its extended key usage lacks serverAuth"},
		},
		"expires": {
			agent: certtest.Template{NotAfter: bubble.Add(12*24*time.Hour + time.Minute)},
			want:  []string{"certificate FILE (CN=board-7.example) expires in 12 days, at 2000-01-13T00:01:00Z; replace it"},
		},
		"expires tomorrow": {
			agent: certtest.Template{NotAfter: bubble.Add(25 * time.Hour)},
			want:  []string{"certificate FILE (CN=board-7.example) expires in 1 day, at 2000-01-02T01:00:00Z; replace it"},
		},
		"expires today": {
			agent: certtest.Template{NotAfter: bubble.Add(time.Hour)},
			want:  []string{"certificate FILE (CN=board-7.example) expires in less than a day, at 2000-01-01T01:00:00Z; replace it"},
		},
		"expired": {
			agent: certtest.Template{NotAfter: bubble.Add(-time.Minute)},
			want:  []string{"certificate FILE (CN=board-7.example) expired at 1999-12-31T23:59:00Z; replace it"},
		},
		"CA expired": {
			change: func(t *testing.T, _ *certtest.CA, source *certificate.Source) {
				source.ClientCA = certtest.NewCA(t, certtest.Template{CN: "Old CA"}.Expired()).File
			},
			want: []string{"client_ca CA (CN=Old CA) expired at 1999-12-31T23:00:00Z; replace it"},
		},
		"no CA": {
			change: func(t *testing.T, ca *certtest.CA, source *certificate.Source) {
				source.ClientCA, _ = ca.Issue(t, certtest.Template{CN: "alone", Change: func(cert *x509.Certificate) {
					serial(1)(cert)
					cert.BasicConstraintsValid = true
				}})
			},
			want: []string{"client_ca CA holds the certificate of no CA, which is trusted alone: CN=alone, issued by CN=Test CA, serial 01, " +
				"valid 1999-12-31 to 2009-12-28"},
		},
		"CRL past": {
			change: func(t *testing.T, ca *certtest.CA, source *certificate.Source) {
				source.CRL = ca.CRLUntil(t, bubble.Add(-time.Minute))
			},
			want: []string{"the list of revoked certificates of CN=Test CA was due to be replaced at 1999-12-31T23:59:00Z; certificates that " +
				"were revoked since are accepted (crl_expired)"},
		},
		"CRL past, refused": {
			change: func(t *testing.T, ca *certtest.CA, source *certificate.Source) {
				source.CRL, source.RefuseExpiredCRL = ca.CRLUntil(t, bubble.Add(-time.Minute)), true
			},
			want: []string{"the list of revoked certificates of CN=Test CA was due to be replaced at 1999-12-31T23:59:00Z; until it is, the " +
				"clients of that CA are refused (crl_expired)"},
		},
		"key for others": {
			change: func(t *testing.T, _ *certtest.CA, source *certificate.Source) {
				if err := os.Chmod(source.Key, 0o644); err != nil {
					t.Fatal(err)
				}
			},
			want: []string{"others can use the key file KEY, its mode is 0644; chmod o= KEY"},
		},
		"key of the group": {
			change: func(t *testing.T, _ *certtest.CA, source *certificate.Source) {
				if err := os.Chmod(source.Key, 0o640); err != nil {
					t.Fatal(err)
				}
			},
		},
		"key among certificates": {
			change: func(t *testing.T, _ *certtest.CA, source *certificate.Source) {
				source.Certificate = write(t, "both", read(t, source.Key), read(t, source.Certificate))
			},
			want: []string{"FILE holds a private key too; leave only certificates in it"},
		},
		"stranger in the chain": {
			change: func(t *testing.T, _ *certtest.CA, source *certificate.Source) {
				other := certtest.NewCA(t, certtest.Template{CN: "Other CA", Change: serial(1)})
				source.Certificate = write(t, "chain", read(t, source.Certificate), read(t, other.File))
			},
			want: []string{"FILE holds CN=Other CA, issued by CN=Other CA, serial 01, valid 1999-12-31 to 2009-12-28, which is not in the " +
				"chain of the certificate"},
		},
		"not in order": {
			change: func(t *testing.T, ca *certtest.CA, source *certificate.Source) {
				source.Certificate = write(t, "chain", read(t, ca.File), read(t, source.Certificate))
			},
			want: []string{"FILE is not in order, which is the own certificate, then the issuer of each one; it is sent in order"},
		},
		"no intermediate": {
			change: func(t *testing.T, ca *certtest.CA, source *certificate.Source) {
				lower := ca.Intermediate(t, certtest.Template{CN: "Lower"})
				var file string
				file, source.Key = lower.Issue(t, agentCert())
				source.Certificate = write(t, "leaf", block("CERTIFICATE", certtest.Leaf(t, file).Raw))
				source.ClientCA = write(t, "ca", read(t, ca.File), read(t, lower.File))
			},
			want: []string{"FILE ends with a certificate of CN=Lower, which is no root; add the certificate of that one"},
		},
		"no public intermediate": {
			change: func(t *testing.T, _ *certtest.CA, source *certificate.Source) {
				other := certtest.NewCA(t, certtest.Template{CN: "Public CA"})
				agent := agentCert()
				agent.Change = func(cert *x509.Certificate) { cert.IssuingCertificateURL = []string{"http://ca.example/ca.der"} }
				source.Certificate, source.Key = other.Issue(t, agent)
			},
			want: []string{"FILE ends with a certificate of CN=Public CA, which is no root; add the certificate of that one"},
		},
		"another root": {
			change: func(t *testing.T, _ *certtest.CA, source *certificate.Source) {
				source.Certificate, source.Key = certtest.NewCA(t, certtest.Template{CN: "Other CA"}).Issue(t, agentCert())
			},
		},
		"self-signed": {
			change: func(t *testing.T, _ *certtest.CA, source *certificate.Source) {
				source.Certificate, source.Key = certtest.SelfSigned(t, agentCert())
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if !time.Now().Equal(bubble) {
					t.Fatalf("a bubble begins at %v", time.Now())
				}
				ca := certtest.New(t)
				agent := test.agent
				agent.CN = host
				if agent.DNS == nil {
					agent.DNS = []string{host}
				}
				source := newSource(t, ca, agent)
				if test.change != nil {
					test.change(t, ca, &source)
				}
				names := strings.NewReplacer(source.Certificate, "FILE", source.Key, "KEY", source.ClientCA, "CA")
				var got []string
				for _, warning := range mustLoad(t, source).Warnings(test.hosts) {
					got = append(got, names.Replace(warning))
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			})
		})
	}
}

// bubble is when the clock of a bubble of testing/synctest begins.
var bubble = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
