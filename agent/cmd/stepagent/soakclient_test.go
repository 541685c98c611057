package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"time"
)

// A model says what must come of the steps of one session, from the rules alone: the step
// ids go up by one from 1, the same is expected again after another, and a declared timeout
// is no shorter than five seconds. It shares no code with what it checks.
type model struct {
	judged, passed, next int
}

const (
	soakSteps   = 10 // of a session
	soakSeconds = 5  // the least timeout
)

// A soakStep is one request and what must come of it.
type soakStep struct {
	id      int
	timeout float64 // seconds; 0 for none
}

// draw returns a step that is mostly, but not always, the one that must come.
func (m *model) draw(random *rand.Rand) soakStep {
	s := soakStep{id: m.next, timeout: []float64{0, soakSeconds, 7.5, 30}[random.IntN(4)]}
	if random.IntN(6) == 0 {
		s.id = []int{m.next + 1, m.next - 1, 100, -3}[random.IntN(4)]
	}
	if random.IntN(8) == 0 {
		s.timeout = []float64{2, 4.999}[random.IntN(2)]
	}
	return s
}

// judge returns the reasons of which the reply must have one, none for a pass, and whether
// the step is the last.
func (m *model) judge(s soakStep) (reasons []string, end bool) {
	inOrder := s.id == m.next
	switch {
	case !inOrder:
		// The two chains that take turns tell it in words of their own.
		reasons = []string{"out_of_order", "rule_broken"}
	case s.timeout > 0 && s.timeout < soakSeconds:
		reasons = []string{"timeout_too_short"}
	default:
		m.passed++
	}
	if inOrder {
		m.next = m.next%soakSteps + 1
	}
	m.judged++
	return reasons, m.judged == soakSteps
}

// A soakClient performs sessions over one connection, and checks every reply.
type soakClient struct {
	soak    *soak
	random  *rand.Rand
	conn    net.Conn
	replies *bufio.Reader
}

func newSoakClient(s *soak, seed uint64) (*soakClient, error) {
	conn, err := net.Dial("tcp", s.agent.address())
	if err != nil {
		return nil, err
	}
	return &soakClient{soak: s, random: rand.New(rand.NewPCG(seed, 1)), conn: conn, replies: bufio.NewReader(conn)}, nil
}

// A soakReply is what the harness reads of a reply.
type soakReply struct {
	StepID    *int   `json:"step_id"`
	ErrorCode int    `json:"error_code"`
	Req       string `json:"req"`
	Session   string `json:"session"`
	Reason    string `json:"reason"`
	End       bool   `json:"end"`
}

// perform performs one session. pause is called before each step.
func (c *soakClient) perform(session string, pause func()) error {
	m := &model{next: 1}
	for m.judged < soakSteps {
		pause()
		if err := c.step(session, m); err != nil {
			return fmt.Errorf("session %s, step %d: %w", session, m.judged+1, err)
		}
	}
	c.soak.finished(session, *m)
	return nil
}

// step has one step judged: a step that the agent could not judge has not happened and is
// sent again.
func (c *soakClient) step(session string, m *model) error {
	step := m.draw(c.random)
	for try := 0; ; try++ {
		request := fmt.Sprintf(`{"step_id":%d,"session":%q,"req":"%d.%d"`, step.id, session, m.judged, try)
		if step.timeout > 0 {
			request += fmt.Sprintf(`,"timeout":%g`, step.timeout)
		}
		line, reply, err := c.ask(request + "}\n")
		if err != nil {
			return err
		}
		if reply.Reason == "validator_unavailable" {
			c.soak.unknown.Add(1)
			if time.Sleep(10 * time.Millisecond); try < 1000 {
				continue
			}
		}
		reasons, end := m.judge(step)
		right := reply.ErrorCode == 0 && reply.Reason == "" && len(reasons) == 0 ||
			reply.ErrorCode == 1 && slices.Contains(reasons, reply.Reason)
		if !right || reply.End != end || reply.StepID == nil || *reply.StepID != step.id || reply.Session != session ||
			reply.Req != fmt.Sprintf("%d.%d", m.judged-1, try) {
			return fmt.Errorf("%s got %swant one of %q, end %t", request, line, reasons, end)
		}
		c.soak.judged.Add(1)
		if c.random.IntN(20) > 0 {
			return nil
		}
		// Sent again it is answered again, and not judged again.
		if again, _, err := c.ask(request + "}\n"); err != nil || !bytes.Equal(again, line) {
			return fmt.Errorf("%s got %sand then %s%w", request, line, again, err)
		}
		return nil
	}
}

func (c *soakClient) ask(request string) (line []byte, reply soakReply, err error) {
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, reply, err
	}
	if _, err := c.conn.Write([]byte(request)); err != nil {
		return nil, reply, err
	}
	if line, err = c.replies.ReadBytes('\n'); err != nil {
		return line, reply, err
	}
	return line, reply, json.Unmarshal(line, &reply)
}
