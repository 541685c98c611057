package pluginhost

import (
	"fmt"

	"github.com/stepagent/stepagent/agent/internal/judge"
	"github.com/stepagent/stepagent/plugins/sdk"
)

// answered is the answer to one call.
type answered struct {
	call    uint64
	answers []judge.Answer
}

// answerBuffer is the memory in which the answers of one message after the other are read.
type answerBuffer struct {
	scratch []sdk.Answer
	batch   []answered
	memory  []judge.Answer
}

// take hands out the answers in a JudgeResponse. The error says how it breaks the contract; what
// comes before the mistake counts. However many answers there are, no more are kept than steps wait
// for one.
func (l *link) take(in *answerBuffer, response []byte) error {
	clear(in.memory)
	in.batch, in.memory = in.batch[:0], in.memory[:0]
	open := l.unanswered()
	err := sdk.ReadAnswers(response, in.scratch, func(call uint64, answers []sdk.Answer) error {
		in.scratch = answers
		if len(in.batch) == open {
			return notOpen(call)
		}
		if n := len(answers); n != l.instances {
			return fmt.Errorf("it gave %d verdicts for %d validators", n, l.instances)
		}
		from := len(in.memory)
		for _, a := range answers {
			in.memory = append(in.memory, judgeAnswer(a))
		}
		in.batch = append(in.batch, answered{call, in.memory[from:]})
		return nil
	})
	if broken := l.deliver(in.batch); broken != nil {
		err = broken
	}
	if err != nil {
		return fmt.Errorf("the plugin broke the contract: %w", err)
	}
	return nil
}

func notOpen(call uint64) error { return fmt.Errorf("it answered call %d, which is not open", call) }

func judgeAnswer(a sdk.Answer) judge.Answer {
	return judge.Answer{Verdict: a.Verdict, Err: a.Err, Expects: judge.Expectation{StepID: a.Expects, Known: a.Known}}
}

// unanswered returns how many steps wait for an answer.
func (l *link) unanswered() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sent)
}
