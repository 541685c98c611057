package session_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/protocol"
)

// TestSessionLimitOfIdentity: the sessions of an identity count until they end, over all addresses.
func TestSessionLimitOfIdentity(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options
		o.Steps = 2
		a := newAgent(t, "advance", o)
		limited := func(identity, addr string) *session.Conn {
			peer := a.peer(addr)
			peer.Identity, peer.MaxSessions = identity, 2
			return a.Connect(peer)
		}
		c, d, bob := limited("ada", here), limited("ada", there), limited("bob", here)
		a.want("1 ok", do(c, named("a", 1)))
		a.want("1 ok", do(d, step(1)))
		busy := do(d, named("b", 1))
		a.want("1 busy", busy)
		if want := "the agent has 2 sessions open of this identity, which is its limit; try again later"; busy.Reply.Detail != want {
			t.Errorf("detail %q, want %q", busy.Reply.Detail, want)
		}
		last := a.log.kept[len(a.log.kept)-1].text
		if want := "too many sessions of this identity client=" + there; !strings.HasPrefix(last, want) || !strings.HasSuffix(last, " identity=ada limit=2") {
			t.Errorf("the log says %q", last)
		}
		a.want("1 ok", do(bob, named("a", 1)))
		a.want("2 ok end", do(d, named("a", 2)))
		undecided := named("b", 1)
		undecided.Data = order{Undecided: true}.data()
		a.want("1 validator_unavailable", do(c, undecided)) // rolled back
		a.want("1 ok", do(c, named("b", 1)))
		a.want("1 busy", do(c, named("c", 1)))
		time.Sleep(2 * options.IdleTimeout)
		a.want("1 ok", do(c, named("c", 1)))
		a.want("1 ok", do(c, named("d", 1)))
		a.check()
		for _, c := range []*session.Conn{c, d, bob} {
			c.Close()
		}
		a.expire()
	})
}

// TestNameNotAllowed: the request is refused without a trace in the tables, before anything that waits,
// and the connection goes on.
func TestNameNotAllowed(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		peer := a.peer(here)
		peer.Identity, peer.MaySession = "spiffe://bench.example/station/7", func(name string) bool { return strings.HasPrefix(name, "station-7-") }
		c := a.Connect(peer)
		for _, send := range []way{doWaiting, a.mustTry} {
			answer := send(c, request("station-8-1", 1, 1))
			a.want("1 bad_request", answer)
			const want = `the session name "station-8-1" is not one that spiffe://bench.example/station/7 may use; ask for it in tls.clients`
			if answer.Reply.Detail != want || answer.Reply.Session != "station-8-1" || answer.Reply.Req != protocol.NumReq(1) ||
				answer.Trace.Position != 0 {
				t.Errorf("got %+v, want the detail %s", answer, want)
			}
		}
		if len(a.ids()) != 0 || a.Leftovers() != "" {
			t.Errorf("open are %v; there are %s", a.ids(), a.Leftovers())
		}
		var lines []string
		for _, line := range a.log.kept {
			lines = append(lines, line.text)
		}
		want := []string{fmt.Sprintf("session name not allowed client=%v identity=%s session=station-8-1", peer.Addr, peer.Identity)}
		if diff := cmp.Diff(want, lines); diff != "" {
			t.Errorf("the log, want - got +\n%s", diff)
		}
		a.want("1 ok", do(c, named("station-7-1", 1)))
		a.want("1 ok", do(c, step(1)))
		c.Close()
	})
}

// TestIdentityEvictsItsOwnFirst: an identity that names session after session, here and there, costs no
// other identity of these addresses its remembered replies.
func TestIdentityEvictsItsOwnFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options
		o.Steps, o.MaxOpen, o.MaxOpenPerAddress = 1, 12, 6
		a := newAgent(t, "advance", o)
		others := []*session.Conn{a.connectAs("bob", here), a.connectAs("cyd", there), a.connect(here)}
		for _, other := range others {
			a.want("1 ok end", do(other, request("mine", 1, 1)))
		}
		greedy := []*session.Conn{a.connectAs("ada", here), a.connectAs("ada", there)}
		for n := range int64(100) {
			a.want("1 ok end", do(greedy[n%2], request(fmt.Sprint(n), 1, n)))
		}
		for _, other := range others {
			a.want("1 ok end replayed", do(other, request("mine", 1, 1)))
		}
		a.want("1 ok end replayed", do(greedy[0], request("99", 1, 99)))
		a.check()
		for _, c := range append(others, greedy...) {
			c.Close()
		}
		a.expire()
	})
}
