package certificate_test

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/shared/certificate"
	"github.com/stepagent/stepagent/agent/internal/testkit/certtest"
)

func TestIdentity(t *testing.T) {
	t.Parallel()
	const spiffe = "spiffe://bench.example/station/7"
	all := certtest.Template{CN: "station-7", DNS: []string{"station-7.example", "other.example"}, URIs: []string{spiffe}}
	with := func(change func(*certtest.Template)) certtest.Template {
		template := all
		change(&template)
		return template
	}
	cn := func(text string) certtest.Template { return certtest.Template{CN: text} }
	ca := certtest.New(t)
	for name, test := range map[string]struct {
		template certtest.Template
		kinds    string // in order; empty: the default
		want     string
		err      string
	}{
		"URI":            {template: all, want: spiffe},
		"DNS":            {template: all, kinds: "dns uri", want: "station-7.example"},
		"CN":             {template: all, kinds: "cn", want: "station-7"},
		"no URI":         {template: with(func(c *certtest.Template) { c.URIs = nil }), want: "station-7.example"},
		"CN alone":       {template: cn("station-7"), want: "station-7"},
		"other URI":      {template: with(func(c *certtest.Template) { c.URIs = []string{"https://bench.example/7"} }), want: "station-7.example"},
		"two URIs":       {template: with(func(c *certtest.Template) { c.URIs = append(c.URIs, "https://bench.example/7") }), err: "has 2 URIs as subject alternative names, and only one identifies a client"},
		"two, not asked": {template: with(func(c *certtest.Template) { c.URIs = append(c.URIs, "urn:x") }), kinds: "cn", want: "station-7"},
		"none":           {template: certtest.Template{}, err: "has none of the names that identify a client (uri, dns and cn in tls.identity)"},
		"only CN":        {template: cn("station-7"), kinds: "uri", err: "has none of the names that identify a client (uri in tls.identity)"},
		"newline":        {template: cn("station\n7"), err: `has an identity (cn) with characters that are not printable: station\n7`},
		"NUL":            {template: cn("station\x007"), err: `has an identity (cn) with characters that are not printable: station\x007`},
		"escape":         {template: cn("\x1b[31mstation"), err: `has an identity (cn) with characters that are not printable: \x1b[31mstation`},
		"bidirectional":  {template: cn("station\u202e7"), err: `has an identity (cn) with characters that are not printable: station\u202e7`},
		"escaped URI":    {template: with(func(c *certtest.Template) { c.URIs = []string{spiffe + "%0a%00"} }), want: spiffe + "%0a%00"},
		"Korean":         {template: cn("시험대 7"), want: "시험대 7"},
		"longest":        {template: cn(strings.Repeat("s", 256)), want: strings.Repeat("s", 256)},
		"too long":       {template: cn(strings.Repeat("s", 257)), err: "has an identity (cn) of 257 bytes, 256 are allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := newSource(t, ca, agentCert())
			source.Identity = strings.Fields(test.kinds)
			set := mustLoad(t, source)
			certFile, _ := ca.Issue(t, test.template)
			state := tls.ConnectionState{PeerCertificates: []*x509.Certificate{certtest.Leaf(t, certFile)}}
			got, err := set.Identity(state)
			if got != test.want {
				t.Errorf("got %q", got)
			}
			var want []string
			if test.err != "" {
				want = []string{"the client's certificate " + test.err, "issued by CN=Test CA"}
			}
			wantError(t, err, want...)
			if verified := set.Verify(state); (verified == nil) != (err == nil) {
				t.Errorf("Verify says %v", verified)
			}
			if _, ok := certificate.Refusal(err); ok != (err != nil) {
				t.Errorf("no refusal: %v", err)
			}
		})
	}
}
