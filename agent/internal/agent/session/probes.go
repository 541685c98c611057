package session

import (
	"context"
	"log/slog"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
)

// ForProbes returns a Manager for steps that no client sent: they are judged as those of m, but
// by the validators themselves and not by verdicts that are kept, in sessions of one step that are
// neither counted nor logged nor limited, and that are forgotten at once.
func (m *Manager) ForProbes() *Manager {
	const unlimited = 1 << 30
	return NewManagerAt(m.clock, fresh{m.judge}, Options{
		Steps: 1, MaxOpen: unlimited, MaxOpenPerAddress: unlimited, RememberedReplies: 1, IdleTimeout: time.Minute, ResumeWindow: time.Minute,
	}, slog.New(slog.DiscardHandler))
}

// fresh has every step judged by the validators themselves.
type fresh struct{ judge Judge }

func (f fresh) Judge(ctx context.Context, session judge.Session, step judge.Step) judge.Judgement {
	step.Fresh = true
	return f.judge.Judge(ctx, session, step)
}

func (fresh) Try(judge.Session, judge.Step) (judge.Judgement, bool) { return judge.Judgement{}, false }

func (f fresh) First() judge.Expectation { return f.judge.First() }
