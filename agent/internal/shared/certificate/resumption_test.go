package certificate_test

import (
	"crypto/tls"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/certificate"
	"github.com/stepagent/stepagent/agent/internal/testkit/certtest"
)

// TestResumption: a session that is resumed is checked as a new one: the client's certificate is
// revoked, expires, or loses its CA in between.
func TestResumption(t *testing.T) {
	for name, test := range map[string]struct {
		later   time.Duration
		change  func(*testing.T, *scene, *certificate.Source)
		resumed bool
		want    string // of Refusal
	}{
		"valid": {resumed: true},
		"revoked": {
			change: func(t *testing.T, s *scene, source *certificate.Source) { source.CRL = s.ca.CRL(t, s.own.SerialNumber) },
			want:   "the client's certificate was revoked at 1999-12-31T23:00:00Z: " + station + "; " + clock,
		},
		"expired": {
			later: 24 * time.Hour,
			want: "the client's certificate expired at 2000-01-01T12:00:00Z: CN=station-7, issued by CN=Test CA, serial 3A:F0, " +
				"valid 1999-12-31 to 2000-01-01; this machine's clock says 2000-01-02T00:00:00Z",
		},
		"CA removed": {
			change: func(t *testing.T, _ *scene, source *certificate.Source) {
				source.ClientCA = certtest.NewCA(t, certtest.Template{CN: "Other CA"}).File
			},
			want: "the client's certificate is signed by no authority of client_ca: " + station + "; " + clock,
		},
		"CA renewed": {
			change: func(t *testing.T, s *scene, source *certificate.Source) {
				source.ClientCA = write(t, "ca.pem", read(t, certtest.New(t).File), read(t, s.ca.File))
			},
			resumed: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, func(_ *testing.T, s *scene) {
					if test.later > 0 {
						s.client.NotAfter = time.Now().Add(test.later / 2)
					}
				})
				current := s.set
				outer := &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
					return current.ServerConfig(), nil
				}}
				s.config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
				first := meet(t, outer, s.config)
				if first.serverErr != nil || first.clientErr != nil || first.state.DidResume {
					t.Fatal(first)
				}
				time.Sleep(test.later) // of the bubble
				cert, key := s.ca.Issue(t, s.agent)
				source := certificate.Source{Certificate: cert, Key: key, ClientCA: s.ca.File}
				if test.change != nil {
					test.change(t, s, &source)
				}
				current = mustLoad(t, source)

				again, _ := certificate.Refusal(current.Verify(first.state)) // as of a connection that stays open
				if again != test.want {
					t.Errorf("open connection:\ngot  %s\nwant %s", again, test.want)
				}
				second := meet(t, outer, s.config)
				if got, _ := certificate.Refusal(second.serverErr); got != test.want {
					t.Errorf("next connection: %v\ngot  %s\nwant %s", second.serverErr, got, test.want)
				}
				if second.state.DidResume != test.resumed {
					t.Errorf("resumed: %t, want %t", second.state.DidResume, test.resumed)
				}
			})
		})
	}
}
