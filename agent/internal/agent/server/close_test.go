package server_test

import (
	"context"
	"io"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
)

// A holding judge holds the loop at the steps with these ids until it is told to go on.
type holding struct {
	sound        *judge.Judge
	reached, let map[int64]chan struct{}
}

func newHolding(t *testing.T, ids ...int64) holding {
	t.Helper()
	h := holding{judge.New(chain(t)), map[int64]chan struct{}{}, map[int64]chan struct{}{}}
	for _, id := range ids {
		h.reached[id], h.let[id] = make(chan struct{}), make(chan struct{})
	}
	return h
}

func (h holding) Try(s judge.Session, step judge.Step) (judge.Judgement, bool) {
	if reached := h.reached[step.ID]; reached != nil {
		close(reached)
		<-h.let[step.ID]
	}
	return h.sound.Try(s, step)
}

func (h holding) Judge(ctx context.Context, s judge.Session, step judge.Step) judge.Judgement {
	return h.sound.Judge(ctx, s, step)
}

func (h holding) First() judge.Expectation { return h.sound.First() }

// TestCloseInEachPhase: a connection can be closed while its worker serves it and while a loop does.
func TestCloseInEachPhase(t *testing.T) {
	nothing := func() {}
	for name, begin := range map[string]func(t *testing.T) (h *harness, p *peer, let func()){
		"parked": func(t *testing.T) (*harness, *peer, func()) {
			h := start(t, defaults())
			return h, h.parked(t), nothing
		},
		"looping": func(t *testing.T) (*harness, *peer, func()) {
			by := newHolding(t, 3)
			h := startJudged(t, defaults(), io.Discard, by)
			p := h.parked(t)
			p.send(`{"step_id":3}`)
			<-by.reached[3]
			return h, p, func() { close(by.let[3]) }
		},
		"judging": func(t *testing.T) (*harness, *peer, func()) {
			member, there, let := gate()
			h := start(t, defaults(), member)
			p := h.parked(t)
			p.send(`{"step_id":2}`)
			<-there
			return h, p, let
		},
		"reading": func(t *testing.T) (*harness, *peer, func()) {
			h := start(t, defaults())
			p := h.parked(t)
			p.send(`{"step`)
			h.park(t, 0)
			return h, p, nothing
		},
		"busy": func(t *testing.T) (*harness, *peer, func()) {
			member, there, let := gate()
			h := start(t, defaults(), member)
			p := h.dial(t)
			p.send(`{"step_id":1}{"step_id":2}`)
			p.expect(`{"step_id":1,"error_code":0}`)
			<-there
			return h, p, let
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, p, let := begin(t)
			h.CloseConnections()
			p.expectClosed()
			let()
			waitFor(t, "the connection to end", func() bool { return h.Stats().Open == 0 })
		})
	}
}
