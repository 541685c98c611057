package client_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/client"
)

// The first request of each connection asks for the agent's version, and no other does.
func TestNameIsGivenOnceAConnection(t *testing.T) {
	const name = "stepctl 1.2.0"
	tests := map[string]struct {
		opts  client.Options
		data  string
		asked []bool
	}{
		"a name":       {client.Options{Name: name}, "", []bool{true, false, true, false}},
		"no name":      {client.Options{}, "", []bool{false, false, false, false}},
		"plain":        {client.Options{Name: name, Plain: true}, "", []bool{false, false}},
		"much of data": {client.Options{Name: name}, `{"a":"` + strings.Repeat("x", 2000) + `"}`, []bool{false, false, false, false}},
	}
	for what, tt := range tests {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asked []bool
				script := func(p *peer) { // two requests, and it closes
					for range 2 {
						if r, ok := p.next(); ok {
							asked = append(asked, r.Client == name)
							p.send(strings.Replace(echoed, "}", `,"agent":"stepagent 1.1.0"}`, 1))
						}
					}
				}
				c, _ := dial(t, tt.opts, script, script)
				for range len(tt.asked) {
					request := step(1, time.Second)
					if tt.data != "" {
						request.Data = []byte(tt.data)
					}
					// A plain client sends no req, and the reply that has one is none to it.
					if reply, err := c.Do(t.Context(), request); !tt.opts.Plain && (err != nil || reply.Agent != "stepagent 1.1.0") {
						t.Fatalf("the reply is from %q, error %v", reply.Agent, err)
					}
					synctest.Wait() // the end of the connection is seen
				}
				if !slices.Equal(asked, tt.asked) {
					t.Errorf("asked %v, want %v", asked, tt.asked)
				}
			})
		})
	}
}
