package session_test

import (
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
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
