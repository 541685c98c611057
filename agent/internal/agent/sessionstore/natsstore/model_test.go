package natsstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
	"github.com/stepagent/stepagent/agent/internal/testkit/natstest"
	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
)

// Two agents judge the steps of the same sessions while servers are killed and stopped and links are cut.
// Each session's memory lists the requests that it has judged: each of them is there once, in the order of
// its client, at the position that the client was told.
func TestModel(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d servers", n), func(t *testing.T) {
			if n > 1 {
				soaktest.Only(t)
			}
			all := startServers(t, n, natstest.SyncAlways())
			m := &model{all: all, stop: make(chan struct{}), second: time.Second / 4}
			limits := quick
			if soaktest.Percent(t) > 0 {
				m.second, limits = time.Second, bounds{}
			}
			for range 2 {
				l, urls := newLink(t, all)
				m.links = append(m.links, l)
				m.agents = append(m.agents, &agent{store: open(t, urls, limits), slots: map[string]*slot{}})
			}
			for i := range 6 {
				c := &client{key: fmt.Sprintf("client %d", i), model: m, told: map[int64]int{}}
				m.clients = append(m.clients, c)
				m.running.Go(func() { c.run(t) })
			}
			m.disturb(t, soaktest.Repetitions(t, 100, 1))
			close(m.stop)
			m.running.Wait()
			m.check(t)
		})
	}
}

type model struct {
	all     *servers
	links   []*link
	agents  []*agent
	clients []*client
	stop    chan struct{}
	second  time.Duration // of disturbances
	running sync.WaitGroup
}

// disturb makes rounds of all disturbances. After each one all clients must get on.
func (m *model) disturb(t *testing.T, rounds int) {
	conn := connect(t, m.all.urls())
	defer conn.Close()
	leader := func() *natstest.Node {
		var n *natstest.Node
		eventually(t, "the stream has a leader", func() bool {
			n = m.all.leader(conn)
			return n != nil
		})
		return n
	}
	disturbances := []struct {
		name string
		do   func()
	}{
		{"kill the leader", func() {
			natstest.KillFor(m.second, leader())
		}},
		{"stop the leader", func() {
			n := leader()
			n.Stop()
			time.Sleep(3 * m.second)
			n.Continue()
		}},
		{"cut an agent off", func() {
			l := m.links[rand.IntN(len(m.links))]
			l.cut()
			time.Sleep(3 * m.second)
			l.mend()
		}},
		{"kill all servers", func() {
			natstest.KillFor(0, m.all.nodes...)
		}},
	}
	for range rounds {
		for _, d := range disturbances {
			m.proceed(t, "before: "+d.name)
			began := time.Now()
			d.do()
			m.proceed(t, "after: "+d.name)
			t.Logf("%s: all get on after %v", d.name, time.Since(began).Round(time.Millisecond))
		}
	}
}

// proceed waits until each client has got further replies.
func (m *model) proceed(t *testing.T, when string) {
	t.Helper()
	for _, c := range m.clients {
		from := c.replies.Load()
		eventually(t, c.key+" gets replies "+when, func() bool { return c.replies.Load() > from+2 })
	}
}

// check compares what is stored with what clients were told.
func (m *model) check(t *testing.T) {
	s := open(t, m.all.urls(), bounds{})
	steps, resent, conflicts := 0, uint64(0), uint64(0)
	for _, c := range m.clients {
		found, _ := load(t, s, c.key)
		reqs := reqsOf(&found.Record)
		if !slices.Equal(reqs, counted(len(reqs))) {
			t.Errorf("%s: the steps are %v", c.key, reqs)
		}
		for req, position := range c.told {
			if position > len(reqs) || reqs[position-1] != req {
				t.Errorf("%s: request %d was told to be step %d", c.key, req, position)
			}
		}
		steps += len(reqs)
	}
	for _, a := range m.agents {
		resent += a.store.Status().Resent
		conflicts += a.store.Status().Conflicts
	}
	t.Logf("%d steps, %d conflicts, %d records sent again", steps, conflicts, resent)
}

// A client sends requests one after another, each to any agent and again until it is answered: to another
// one while the first may still be at it.
type client struct {
	key     string
	model   *model
	replies atomic.Int64
	mu      sync.Mutex    // guards told
	told    map[int64]int // positions by request
}

func (c *client) run(t *testing.T) {
	var late sync.WaitGroup
	defer late.Wait()
	for req := int64(1); ; req++ {
		answered := make(chan struct{}, 1)
		for isAnswered := false; !isAnswered; {
			a := c.model.agents[rand.IntN(len(c.model.agents))]
			late.Go(func() {
				if position, err := a.judge(c.key, req); err == nil {
					c.tell(t, req, position)
					select {
					case answered <- struct{}{}:
					default:
					}
				}
			})
			select {
			case <-answered:
				isAnswered = true
			case <-time.After(time.Duration(50+rand.IntN(1000)) * time.Millisecond):
			}
			select {
			case <-c.model.stop:
				return
			default:
			}
		}
		c.replies.Add(1)
		time.Sleep(time.Duration(rand.IntN(10)) * time.Millisecond)
	}
}

// tell is a reply: a request that is answered twice has one position.
func (c *client) tell(t *testing.T, req int64, position int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if before, ok := c.told[req]; ok && before != position {
		t.Errorf("%s: request %d is step %d and step %d", c.key, req, before, position)
	}
	c.told[req] = position
}

// An agent is what package session does with a store.
type agent struct {
	store *Store
	mu    sync.Mutex // guards slots
	slots map[string]*slot
}

type slot struct {
	mu        sync.Mutex // the turn
	known     bool
	reqs      []int64
	was       sessionstore.Revision
	positions map[int64]int // by the requests whose replies are remembered
}

func (a *agent) slot(key string) *slot {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.slots[key] == nil {
		a.slots[key] = &slot{}
	}
	return a.slots[key]
}

// judge returns the position of a request.
func (a *agent) judge(key string, req int64) (position int, err error) {
	s := a.slot(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if err := a.load(key, s); err != nil {
			return 0, err
		}
		if position, ok := s.positions[req]; ok {
			return position, nil
		}
		if req < int64(len(s.reqs)) {
			return 0, errors.New("a request of long ago, which its client does not wait for")
		}
		next := append(slices.Clone(s.reqs), req)
		now, err := commitTo(context.Background(), a.store, record(key, next), s.was)
		switch {
		case err == nil:
			s.reqs, s.was = next, now
			s.positions[req] = len(next)
			return len(next), nil
		case !errors.Is(err, sessionstore.ErrConflict):
			return 0, err
		}
		s.known = false
	}
}

func (a *agent) load(key string, s *slot) error {
	if s.known {
		return nil
	}
	found, was, ok, err := a.store.Load(context.Background(), key)
	if err != nil {
		return err
	}
	s.known, s.was, s.reqs, s.positions = true, was, nil, map[int64]int{}
	if ok {
		s.reqs = reqsOf(&found.Record)
		for _, r := range found.Replies {
			req, _ := r.Req.Num()
			s.positions[req] = r.ErrorCode
		}
	}
	return nil
}
