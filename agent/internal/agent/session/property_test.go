package session_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
	"github.com/stepagent/stepagent/agent/protocol"
)

// TestAgainstModel lets random clients at a Manager and compares every reply, every count and
// every line about a session with the model.
func TestAgainstModel(t *testing.T) {
	t.Parallel()
	for range soaktest.Repetitions(t, 300, 1) {
		rapid.Check(t, func(t *rapid.T) {
			mode := rapid.SampledFrom([]string{"advance", "resync", "hold"}).Draw(t, "mode")
			rapid.SyncTest(t, func(t *rapid.T) { newWorld(t, mode).run() })
		})
	}
}

// A world is a Manager with its clients, and the models that explain all that was seen. Steps
// that were sent at the same time may leave more than one.
type world struct {
	*rapid.T
	agent  *agent
	models []*model
	conns  map[int]*client
	count  int
	sent   []protocol.Request // with a req
}

type client struct {
	*session.Conn
	gone atomic.Bool
}

// names, addresses and identities are few, so that clients meet.
var (
	names      = []string{"a", "b", "c", "d"}
	addresses  = []string{here, there}
	identities = []string{"", "ada", "bob"}
	// maxSessions are the limits of identities.
	maxSessions = map[string]int{"bob": 3}
)

// mayUse reports whether an identity may use a session name.
func mayUse(identity, name string) bool { return identity != "bob" || name != "d" }

func newWorld(t *rapid.T, mode string) *world {
	w := &world{T: t, conns: map[int]*client{}}
	rules := w.rules()
	w.agent = newAgent(t, mode, rules)
	w.models = []*model{{
		mode: mode, rules: rules, generation: 1, conns: map[int]conn{}, slots: map[string]slot{},
		free: map[string]time.Time{},
	}}
	return w
}

func (w *world) run() {
	for range 3 { // some thirty actions each, so that sessions reach their end
		w.Repeat(map[string]func(*rapid.T){
			"":             w.with(w.check),
			"connect":      w.with(w.connect),
			"close":        w.with(w.close),
			"step":         w.with(w.step),
			"in order":     w.with(w.inOrder),
			"resume":       w.with(w.resume),
			"field client": w.with(w.fieldClient),
			"repeat":       w.with(w.repeat),
			"together":     w.with(w.together),
			"wait":         w.with(w.wait),
			"options":      w.with(w.setOptions),
			"swap":         w.with(w.swap),
		})
	}
	for _, id := range w.open() {
		w.hangUp(id)
	}
	w.check()
	w.agent.expire()
	w.lines()
}

// with has an action draw from the T that it is given.
func (w *world) with(action func()) func(*rapid.T) {
	return func(t *rapid.T) {
		w.T = t
		action()
	}
}

func (w *world) rules() session.Options {
	rules := options
	rules.Steps = rapid.SampledFrom([]int{10, 1, 2, 3, 12}).Draw(w.T, "steps")
	rules.IdleTimeout = time.Duration(rapid.SampledFrom([]int{60, 30, 15}).Draw(w.T, "idle")) * time.Second
	rules.ResumeWindow = time.Duration(rapid.SampledFrom([]int{13, 31, 7}).Draw(w.T, "resume")) * time.Second
	rules.LongestInterval = time.Duration(rapid.SampledFrom([]int{3600, 41, 2}).Draw(w.T, "longest interval")) * time.Second
	rules.RememberedReplies = rapid.SampledFrom([]int{64, 1, 3}).Draw(w.T, "remembered")
	rules.MaxOpen = rapid.SampledFrom([]int{1000, 6, 3, 1}).Draw(w.T, "max open")
	rules.OwnerAddress = rapid.Bool().Draw(w.T, "owner address")
	rules.MaxOpenPerAddress = rapid.SampledFrom([]int{1000, 4, 2}).Draw(w.T, "max open per address")
	if rapid.Bool().Draw(w.T, "codes") {
		rules.Codes = protocol.Codes{protocol.OutOfOrder: 2, protocol.Busy: 9}
	}
	return rules
}

// first is one of the models, for what all agree on.
func (w *world) first() *model { return w.models[0] }

// open returns the connections, in the order in which they were opened.
func (w *world) open() []int { return slices.Sorted(maps.Keys(w.conns)) }

func (w *world) draw(label string) int {
	if len(w.conns) == 0 {
		w.connect()
	}
	return rapid.SampledFrom(w.open()).Draw(w.T, label)
}

func (w *world) connect() {
	if len(w.conns) >= 8 {
		w.hangUp(w.open()[0])
	}
	w.connectFrom(w.someone())
}

// someone draws a client.
func (w *world) someone() who {
	return who{rapid.SampledFrom(addresses).Draw(w.T, "address"), rapid.SampledFrom(identities).Draw(w.T, "identity")}
}

func (w *world) connectFrom(from who) int {
	w.count++
	c := &client{}
	peer := w.agent.peer(from.addr)
	peer.Gone, peer.Identity, peer.MaxSessions = c.gone.Load, from.identity, maxSessions[from.identity]
	if from.identity != "" {
		peer.MaySession = func(name string) bool { return mayUse(from.identity, name) }
	}
	c.Conn = w.agent.Connect(peer)
	w.conns[w.count] = c
	for _, m := range w.models {
		m.conns[w.count] = conn{from: from}
	}
	return w.count
}

func (w *world) close() { w.hangUp(w.draw("connection")) }

func (w *world) hangUp(id int) {
	w.conns[id].Close()
	delete(w.conns, id)
	w.explain(func(m *model) []session.Answer {
		m.leave(id, time.Now())
		return nil
	})
}

// explain moves the models on, and keeps those that say what was seen.
func (w *world) explain(move func(*model) []session.Answer, seen ...session.Answer) {
	w.Helper()
	var explained []*model
	var said [][]session.Answer
	for _, m := range w.models {
		answers := move(m)
		if reflect.DeepEqual(answers, seen) {
			explained = append(explained, m)
		}
		said = append(said, answers)
	}
	if len(explained) == 0 {
		w.Fatalf("got %v, want %v", inShort(seen), inShort(said[0]))
	}
	w.models = explained
}

func inShort(answers []session.Answer) string {
	var words []string
	for _, a := range answers {
		words = append(words, fmt.Sprintf("%s code %d for %s in %q", said(a), a.Reply.ErrorCode, a.Reply.Req, a.Reply.Session))
	}
	return strings.Join(words, "; ")
}

// seen is the answer as the model gives it. The details are only looked at: there must be one
// wherever there is a reason.
func (w *world) seen(answer session.Answer) session.Answer {
	w.Helper()
	if (answer.Reply.Detail == "") != (answer.Reply.Reason == "") {
		w.Fatalf("reason %q, detail %q", answer.Reply.Reason, answer.Reply.Detail)
	}
	answer.Reply.Detail, answer.Trace = "", session.Trace{}
	return answer
}

// check compares the counts, and looks at the tables.
func (w *world) check() {
	w.Helper()
	w.tick()
	w.agent.check()
	got, models := w.agent.Stats(), w.models
	got.RememberedBytes = 0 // the model has no details; Check has counted them
	reasons := uint64(0)
	for _, n := range got.ByReason {
		reasons += n
	}
	if reasons != got.Failed+got.Undecided {
		w.Fatalf("%d steps have a reason: %+v", reasons, got)
	}
	got.ByReason = nil // the model counts none
	w.models = slices.DeleteFunc(slices.Clone(models), func(m *model) bool { return !reflect.DeepEqual(m.stats, got) })
	if len(w.models) == 0 {
		w.Fatalf("counts: got %+v, want %+v", got, models[0].stats)
	}
}

// lines compares what the log says of the sessions.
func (w *world) lines() {
	var got []string
	for _, line := range w.agent.log.ends() {
		client, said, _ := strings.Cut(line.text, " verdict=")
		_, identity, _ := strings.Cut(client, " identity=")
		id := strings.TrimPrefix(strings.Fields(client)[2], "session=")
		switch _, owner, _ := strings.Cut(id, "·"); {
		case strings.Contains(id, "#"):
			id = "nameless by " + identity
		case owner != identity:
			w.Errorf("the identity is %q: %s", identity, line.text)
		}
		said, _, _ = strings.Cut(said, " cause=")
		got = append(got, id+": "+said)
	}
	slices.Sort(got)
	for _, m := range w.models {
		m.advance(time.Now())
		slices.Sort(m.ended)
		if slices.Equal(got, m.ended) {
			return
		}
	}
	w.Fatalf("lines:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(w.first().ended, "\n"))
}
