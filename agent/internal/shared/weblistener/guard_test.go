package weblistener_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/shared/problem"
)

func TestGuard(t *testing.T) {
	t.Parallel()
	o := options
	o.Hosts = []string{"Bench.example.", "192.0.2.7", "2001:db8::1"}
	_, address := serve(t, o, reached)
	readOnly := o
	readOnly.ReadOnly = "read only"
	_, readOnlyAddress := serve(t, readOnly, reached)
	noToken := o
	noToken.Token = ""
	_, noTokenAddress := serve(t, noToken, reached)
	const host, header, bearer = "Host: localhost", "X-Stepagent: 1", "Authorization: Bearer " + token
	for _, tt := range []struct {
		name, address, request string
		headers                []string
		want                   int
	}{
		{"read", address, "GET /", []string{host}, 200},
		{"name with a port", address, "GET /", []string{"Host: LOCALHOST:8081"}, 200},
		{"address", address, "GET /", []string{"Host: 127.0.0.1:8081"}, 200},
		{"another loopback address", address, "GET /", []string{"Host: 127.9.8.7"}, 200},
		{"IPv6 address", address, "GET /", []string{"Host: [::1]:8081"}, 200},
		{"IPv6 address without a port", address, "GET /", []string{"Host: [::1]"}, 200},
		{"configured name", address, "GET /", []string{"Host: bench.EXAMPLE:443"}, 200},
		{"configured address", address, "GET /", []string{"Host: 192.0.2.7:8081"}, 200},
		{"configured IPv6 address", address, "GET /", []string{"Host: [2001:db8::1]:8081"}, 200},
		{"rebound name", address, "GET /", []string{"Host: evil.example:8081"}, 421},
		{"name that ends like ours", address, "GET /", []string{"Host: notlocalhost"}, 421},
		{"name below ours", address, "GET /", []string{"Host: localhost.evil.example"}, 421},
		{"name like an address", address, "GET /", []string{"Host: 127.0.0.1.evil.example"}, 421},
		{"address of another machine", address, "GET /", []string{"Host: 192.0.2.8"}, 421},
		{"no name", address, "GET /", []string{"Host:"}, 421},
		{"absolute URL with another host", address, "GET http://evil.example/", []string{host}, 421},
		{"link from another site", address, "GET /", []string{host, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"}, 200},
		{"own page", address, "GET /", []string{host, "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors"}, 200},
		{"script of another site", address, "GET /", []string{host, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"}, 403},
		{"page on another port", address, "GET /", []string{host, "Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: cors"}, 403},
		{"change", address, "POST /", []string{host, header, bearer}, 200},
		{"change by another scheme's name", address, "POST /", []string{host, header, "Authorization: bearer " + token}, 200},
		{"change without the header", address, "POST /", []string{host, bearer}, 403},
		{"change with another header", address, "POST /", []string{host, bearer, "X-Stepagent: yes"}, 403},
		{"change without a token", address, "POST /", []string{host, header}, 401},
		{"change with a wrong token", address, "POST /", []string{host, header, bearer + "x"}, 401},
		{"change with a part of the token", address, "POST /", []string{host, header, bearer[:len(bearer)-1]}, 401},
		{"change with an empty token", address, "POST /", []string{host, header, "Authorization: Bearer "}, 401},
		{"change with basic authorization", address, "POST /", []string{host, header, "Authorization: Basic " + token}, 401},
		{"change from another site", address, "POST /", []string{host, header, bearer, "Sec-Fetch-Site: cross-site"}, 403},
		{"change by a link", address, "POST /", []string{host, header, bearer, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"}, 403},
		{"change from another origin", address, "POST /", []string{host, header, bearer, "Origin: http://evil.example"}, 403},
		{"change from the own origin", address, "POST /", []string{host, header, bearer, "Origin: http://localhost"}, 200},
		{"any other method", address, "DELETE /", []string{host}, 403},
		{"preflight", address, "OPTIONS /", []string{host, "Origin: http://evil.example", "Access-Control-Request-Method: POST"}, 403},
		{"read only: read", readOnlyAddress, "GET /", []string{host}, 200},
		{"read only: change", readOnlyAddress, "POST /", []string{host, header, bearer}, 403},
		{"no token: change with an empty one", noTokenAddress, "POST /", []string{host, header, "Authorization: Bearer "}, 401},
	} {
		got := send(t, tt.address, tt.request, tt.headers...)
		if got.status != tt.want {
			t.Errorf("%s: got %d %s, want %d", tt.name, got.status, got.body, tt.want)
		}
		if (got.body == "reached") != (tt.want == 200) {
			t.Errorf("%s: the handler's answer: %t", tt.name, got.body == "reached")
		}
		var why problem.Details
		if tt.want != 200 && (json.Unmarshal([]byte(got.body), &why) != nil || why.Status != tt.want || why.Detail == "") {
			t.Errorf("%s: the problem is %s", tt.name, got.body)
		}
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
		} {
			if value := got.header.Get(name); value != want {
				t.Errorf("%s: %s is %q", tt.name, name, value)
			}
		}
		if policy := got.header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; ") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: the policy is %q", tt.name, policy)
		}
		for name := range got.header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s: %s is sent", tt.name, name)
			}
		}
	}
}
