package session_test

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
	"github.com/stepagent/stepagent/agent/protocol"
)

// ids returns the ids of the open sessions, sorted.
func (a *agent) ids() (ids []string) {
	for v := range a.Views() {
		ids = append(ids, v.ID)
	}
	slices.Sort(ids)
	return ids
}

// TestNameOfOneIdentity: clients with different identities that use one name, and one without any, see
// nothing of one another's sessions, though they share the address and the reqs.
func TestNameOfOneIdentity(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		ada, bob, plain := a.connectAs("ada", here), a.connectAs("bob", here), a.connect(here)
		a.want("1 ok", do(ada, request("a", 1, 1)))
		a.want("2 ok", do(ada, request("a", 2, 2)))
		a.want("2 out_of_order", do(bob, request("a", 2, 2))) // neither a replay nor the third step
		a.want("1 ok", do(plain, request("a", 1, 1)))
		a.want("3 ok", do(ada, request("a", 3, 3)))
		a.want("2 ok replayed", do(ada, request("a", 2, 2)))
		a.want("2 out_of_order replayed", do(bob, request("a", 2, 2)))
		if diff := cmp.Diff([]string{"a", "a·ada", "a·bob"}, a.ids()); diff != "" {
			t.Errorf("open, want - got +\n%s", diff)
		}
		for id, position := range map[string]int{"a": 1, "a·ada": 3, "a·bob": 1} {
			v, ok := a.View(id)
			_, identity, _ := strings.Cut(id, "·")
			if !ok || v.Position != position || v.Identity != identity {
				t.Errorf("%s: %+v, want position %d", id, v, position)
			}
		}
		if !a.EndSession("a·bob") || a.EndSession("a·bob") || a.EndSession("a·eve") {
			t.Error("the session of bob is not ended, or another one")
		}
		a.want("4 ok", do(ada, named("a", 4)))
		a.want("2 ok", do(plain, named("a", 2)))
		ada.Close()
		bob.Close()
		plain.Close()
	})
}

// TestRetainedRepliesOfOneIdentity: the last reply of a session that has ended is for its owner alone.
func TestRetainedRepliesOfOneIdentity(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options
		o.Steps = 1
		a := newAgent(t, "advance", o)
		ada, bob := a.connectAs("ada", here), a.connectAs("bob", here)
		a.want("1 ok end", do(ada, request("a", 1, 1)))
		a.want("1 ok end", do(bob, request("a", 1, 1)))
		a.want("1 ok end replayed", do(ada, request("a", 1, 1)))
		if got := a.Stats(); got.Completed != 2 || got.Replayed != 1 {
			t.Errorf("got %+v", got)
		}
		ada.Close()
		bob.Close()
		a.check()
		a.expire()
	})
}

// TestIdentityRoams: a named session goes on from another address of its identity, and a nameless one
// does not.
func TestIdentityRoams(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		first := a.connectAs("ada", here)
		a.want("1 ok", do(first, request("a", 1, 1)))
		first.Close()
		second := a.connectAs("ada", there)
		a.want("1 ok replayed", do(second, request("a", 1, 1)))
		a.want("2 ok", do(second, named("a", 2)))
		second.Close()

		once := func(addr string, id int64) session.Answer {
			c := a.connectAs("ada", addr)
			defer c.Close()
			return do(c, step(id))
		}
		a.want("1 ok", once(here, 1))
		a.want("2 out_of_order", once(there, 2))
		a.want("2 ok", once(here, 2))
	})
}

// TestNamelessIdentitiesBehindOneAddress: each resumes its own session, over a connection for each step,
// though both expect the same one at the same time.
func TestNamelessIdentitiesBehindOneAddress(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		for id := range int64(10) {
			for _, identity := range []string{"ada", "bob", ""} {
				c := a.connectAs(identity, here)
				answer := do(c, step(id+1))
				c.Close()
				if got := said(answer); got != ok(id+1) && got != "10 ok end" {
					t.Errorf("%q: %s", identity, got)
				}
			}
		}
		if got := a.Stats(); got.Completed != 3 || got.Failed != 0 {
			t.Errorf("got %+v, want 3 completed", got)
		}
	})
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
		o := options
		o.OwnerAddress = true
		a.SetOptions(o)
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

// recorded keeps what is recorded.
type recorded struct{ sessions []auditlog.Session }

func (r *recorded) Record(e auditlog.Event) { r.sessions = append(r.sessions, *e.Session) }

// TestIdentityIsTold: log, record, views and failures name the identity.
func TestIdentityIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o, record := options, &recorded{}
		o.Recorder = record
		j := newAgent(t, "advance", o)
		a := &agent{TB: t, judge: j.judge, log: j.log, Manager: session.NewManager(j.judge, o, slog.New(j.log))}
		c := a.Connect(session.Peer{Addr: netip.MustParseAddrPort("192.0.2.1:7"), Identity: "ada"})
		do(c, named("a", 7))
		v, _ := a.View("a·ada")
		failures, _ := a.Failures(0)
		if v.Identity != "ada" || v.Client != "192.0.2.1:7" || len(failures) != 1 ||
			failures[0].Session != v.ID || failures[0].Identity != "ada" || failures[0].Client != v.Client {
			t.Errorf("view %+v, failures %+v", v, failures)
		}
		a.EndSession(v.ID)
		var got []string
		for _, line := range a.log.kept {
			text, _, _ := strings.Cut(line.text, " reason=")
			text, _, _ = strings.Cut(text, " steps=")
			got = append(got, text)
		}
		want := []string{
			"step failed session=a·ada step_id=7 position=1 client=192.0.2.1:7 identity=ada",
			"session ended session=a·ada client=192.0.2.1:7 identity=ada verdict=incomplete",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the log, want - got +\n%s", diff)
		}
		if len(record.sessions) != 1 || record.sessions[0].Session != "a·ada" || record.sessions[0].Identity != "ada" {
			t.Errorf("the record has %+v", record.sessions)
		}
		c.Close()
		a.expire()
	})
}
