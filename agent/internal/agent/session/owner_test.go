package session_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
)

// TestLastConnectionOwnsName: what many connections that use the same names keep does not
// grow with the connections, and the session is left when the last to use it closes.
func TestLastConnectionOwnsName(t *testing.T) {
	t.Parallel()
	const names, connections = 300, 20 // more than are left at once
	inBubble(t, func(a *agent) {
		conns := make([]*session.Conn, connections)
		for n := range conns {
			conns[n] = a.connect(here)
			for name := range names {
				do(conns[n], named(fmt.Sprint(name), 1))
			}
		}
		kept := 0
		for _, c := range conns {
			kept += c.Names()
		}
		if kept != names || conns[connections-1].Names() != names {
			t.Errorf("the connections keep %d names, the last %d, want %d", kept, conns[connections-1].Names(), names)
		}

		do(conns[0], named("0", 2)) // the first takes one back
		conns[connections-1].Close()
		a.check()
		time.Sleep(options.ResumeWindow)
		synctest.Wait()
		if got := a.Stats().Open; got != 1 {
			t.Errorf("%d sessions are open, want the one that an open connection used last", got)
		}
		for _, c := range conns[:connections-1] {
			c.Close()
		}
		a.check()
		time.Sleep(options.ResumeWindow)
		synctest.Wait()
		if got := a.Stats().Open; got != 0 {
			t.Errorf("%d sessions are open", got)
		}
	})
}

// TestAddressEvictsItsOwnFirst: an address that names session after session costs no other
// its remembered replies.
func TestAddressEvictsItsOwnFirst(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*session.Options){
		"by number": func(o *session.Options) { o.MaxOpen, o.MaxOpenPerAddress = 12, 6 },
		"by bytes":  func(o *session.Options) { o.MaxOpen, o.MaxOpenPerAddress, o.RememberedBytes = 1000, 500, 12*300 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := options
				o.Steps = 1
				change(&o)
				a := newAgent(t, "advance", o)
				greedy, other := a.connect(here), a.connect(there)
				a.want("1 ok end", do(other, request("mine", 1, 1)))
				for n := range int64(100) {
					a.want("1 ok end", do(greedy, request(fmt.Sprint(n), 1, n)))
				}
				a.want("1 ok end replayed", do(other, request("mine", 1, 1)))
				a.want("1 ok end replayed", do(greedy, request("99", 1, 99)))
				a.want("1 ok end", do(greedy, request("1", 1, 1)))
				a.check()
				greedy.Close()
				other.Close()
				a.expire()
			})
		})
	}
}
