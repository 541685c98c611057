package session_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
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

// TestNameOfOneAddress: with OwnerAddress a name without an identity belongs to the address; all unix
// sockets are one.
func TestNameOfOneAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options
		o.OwnerAddress = true
		a := newAgent(t, "advance", o)
		unix := func(pid int) *session.Conn {
			return a.Connect(session.Peer{Name: fmt.Sprint("unix:uid=1000,pid=", pid)})
		}
		conns := []*session.Conn{a.connect(here), a.connect(there), a.connectAs("ada", here), unix(7), a.connect("2001:db8::1"), a.connect("::ffff:" + here)}
		for _, c := range conns[:5] {
			a.want("1 ok", do(c, request("a", 1, 1)))
		}
		a.want("1 ok replayed", do(conns[5], request("a", 1, 1)))
		conns = append(conns, unix(8))
		a.want("2 ok", do(conns[6], named("a", 2)))
		a.want("1 ok", do(conns[6], step(1)))
		want := []string{"a·ada", "a←192.0.2.1", "a←192.0.2.2", "a←2001:db8::1", "a←unix", "unix:uid=1000,pid=8#1"}
		if diff := cmp.Diff(want, a.ids()); diff != "" {
			t.Errorf("want - got +\n%s", diff)
		}
		if v, _ := a.View("a←unix"); v.Client != "unix:uid=1000,pid=7" {
			t.Errorf("the client is %q", v.Client)
		}
		for _, c := range conns {
			c.Close()
		}
		a.check()
		a.expire()
	})
}

// TestOwnerChangesAtReload: an open session goes on for the address that began it. Others have no part
// in it any more once names belong to addresses.
func TestOwnerChangesAtReload(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		c, d := a.connect(here), a.connect(there)
		a.want("1 ok", do(c, request("a", 1, 1)))
		for id := range int64(10) {
			do(d, named("b", id+1)) // first used by d
		}
		a.want("1 ok", do(c, named("b", 1)))
		o := options
		o.OwnerAddress = true
		a.SetOptions(o)
		a.want("2 ok", do(c, named("b", 2)))
		a.want("1 ok", do(d, named("b", 1)))
		a.EndSession("b")
		a.EndSession("b←" + there)
		a.want("1 ok", do(d, named("a", 1)))
		a.want("1 ok replayed", do(c, request("a", 1, 1)))
		a.want("2 ok", do(c, named("a", 2)))
		a.SetOptions(options)
		a.want("2 ok", do(d, named("a", 2)))
		a.want("3 ok", do(c, named("a", 3)))
		if diff := cmp.Diff([]string{"a", "a←192.0.2.2"}, a.ids()); diff != "" {
			t.Errorf("want - got +\n%s", diff)
		}
		for id := range int64(8) {
			do(d, named("a", id+3))
		}
		time.Sleep(2 * options.IdleTimeout) // until its replies have gone, too
		a.want("1 ok", do(c, named("a", 1)))
		a.want("2 ok", do(d, named("a", 2)))
		c.Close()
		d.Close()
	})
}

// TestOptionsOfOwner: session.owner is the name by default.
func TestOptionsOfOwner(t *testing.T) {
	t.Parallel()
	c := config.Default()
	if session.OptionsOf(c).OwnerAddress {
		t.Error("by default a name belongs to its address")
	}
	c.Session.Owner = "address"
	if !session.OptionsOf(c).OwnerAddress {
		t.Error("a name does not belong to its address")
	}
}
