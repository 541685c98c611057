package certificate_test

import (
	"crypto/x509"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/internal/shared/certificate"
	"github.com/stepagent/stepagent/agent/internal/testkit/certtest"
)

// TestNow: certificates are judged by the clock, and never by a time before one that is known to be
// past.
func TestNow(t *testing.T) {
	t.Parallel()
	ca := certtest.NewCA(t, certtest.Template{CN: "Test CA", NotBefore: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)})
	rapid.Check(t, func(rt *rapid.T) {
		day := func(name string) time.Time {
			return time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 40*365).Draw(rt, name)) * 24 * time.Hour)
		}
		floor, notBefore, thisUpdate, later := day("floor"), day("not before"), day("this update"), day("clock")
		if rapid.Bool().Draw(rt, "no floor") {
			floor = time.Time{}
		}
		hasCRL := rapid.Bool().Draw(rt, "CRL")
		rapid.SyncTest(rt, func(rt *rapid.T) {
			source := newSource(t, ca, certtest.Template{CN: "board", NotBefore: notBefore})
			source.Floor = floor
			known := []time.Time{floor, notBefore}
			if hasCRL {
				list := &x509.RevocationList{Number: bigOne, ThisUpdate: thisUpdate, NextUpdate: thisUpdate.Add(time.Hour)}
				source.CRL = write(t, "crl.der", ca.SignCRL(t, list))
				known = append(known, thisUpdate)
			}
			set := mustLoad(t, source)
			for range 2 {
				want := slices.MaxFunc(append(known, time.Now()), time.Time.Compare)
				if got := set.Now(); !got.Equal(want) {
					rt.Fatalf("got %v, want %v", got, want)
				}
				if got := set.ServerConfig().Time(); !got.Equal(want) {
					rt.Fatalf("crypto/tls gets %v, want %v", got, want)
				}
				if wait := time.Until(later); wait > 0 {
					time.Sleep(wait) // of the bubble
				}
			}
		})
	})
}

// TestClockOf1970: an agent whose clock is long past serves clients with valid certificates, and
// says in its warnings and refusals by which time it judges.
func TestClockOf1970(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // where it is 2000
		issued := time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)
		ca := certtest.NewCA(t, certtest.Template{CN: "Test CA", NotBefore: issued.Add(-time.Hour)})
		agent, client, expired := agentCert(), clientCert(), clientCert()
		agent.NotBefore, client.NotBefore = issued, issued.Add(-time.Minute)
		expired.NotBefore, expired.NotAfter = issued.Add(-time.Hour), issued.Add(-time.Second)
		set := mustLoad(t, newSource(t, ca, agent))
		config, _ := newClient(t, ca.File, ca, client)
		config.Time = func() time.Time { return issued.Add(time.Hour) } // the client's clock is right
		if m := meet(t, set.ServerConfig(), config); m.serverErr != nil || m.clientErr != nil {
			t.Errorf("%v, %v", m.serverErr, m.clientErr)
		}
		late, _ := newClient(t, ca.File, ca, expired)
		late.Time = config.Time
		m := meet(t, set.ServerConfig(), late)
		got, _ := certificate.Refusal(m.serverErr)
		const want = "the client's certificate expired at 2026-11-01T07:59:59Z: CN=station-7, issued by CN=Test CA, serial 3A:F0, " +
			"valid 2026-11-01 to 2026-11-01; this machine's clock says 2000-01-01T00:00:00Z, and the time that counts is 2026-11-01T08:00:00Z"
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		const warning = "[this machine's clock says 2000-01-01T00:00:00Z, which is surely past; certificates are judged by " +
			"2026-11-01T08:00:00Z until it is right]"
		if got := fmt.Sprint(set.Warnings(nil)); got != warning {
			t.Errorf("warnings %s", got)
		}
	})
}

func TestDaysLeft(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "now"), 0)
		days := rapid.Int64Range(-1e6, 1e6).Draw(t, "days")
		seconds := rapid.Int64Range(0, 24*3600-1).Draw(t, "seconds")
		info := certificate.Info{NotAfter: time.Unix(now.Unix()+days*24*3600+seconds, 0)}
		if got := info.DaysLeft(now); int64(got) != days {
			t.Fatalf("got %d, want %d", got, days)
		}
	})
	if got := (certificate.Info{}).DaysLeft(time.Now()); got < 1e6 {
		t.Errorf("a list without an end has %d days", got)
	}
}
