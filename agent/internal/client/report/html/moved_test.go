package html

import (
	"strings"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/protocol"
)

// The page says with which agents a run went on, in the header and at the steps that were sent again.
func TestPageOfARunThatMoved(t *testing.T) {
	run := everything(t)
	run.Start.Address, run.Start.Addresses = "a:1", []string{"a:1", "b:1"}
	for i := range run.Steps {
		run.Steps[i].Tries, run.Steps[i].StepID = 1, int64(70+i)
	}
	second := &run.Steps[1]
	second.Address, second.Tries, second.Retry, second.Reconnects = "b:1", 2, record.RetryLost, 1
	second.Outcome, second.Reason, second.Detail = record.Failed, protocol.OutOfOrder, "step 70 must come now, got 71"
	for language, wants := range map[Language][]string{
		English: {"From step 71 on, the run went on with the agent at b:1.", "From step 72 on, the run went on with the agent at a:1.",
			"Sent to the agent at b:1.", "The agent at b:1 did not have the session and expected the first step.", "<bdi>a:1</bdi></dd><dd><bdi>b:1</bdi>"},
		Korean: {"단계 71부터는 b:1의 에이전트로 이어서 진행했습니다.", "b:1의 에이전트로 전송했습니다.", "b:1의 에이전트에는 이 세션이 없어 첫 단계를 기대했습니다."},
	} {
		page := render(t, run, language)
		for _, want := range wants {
			if strings.Count(page, want) != 1 {
				t.Errorf("the page in %s has %q %d times", language, want, strings.Count(page, want))
			}
		}
	}
	run.Steps[0].Address = "c:1"
	if page := render(t, run, English); !strings.Contains(page, "The run began with the agent at c:1.") {
		t.Error("the page does not say where the run began")
	}
	for i := range run.Steps {
		run.Steps[i].Address = []string{"", "b:1"}[i%2]
	}
	if page := render(t, run, English); !strings.Contains(page, "The run went on with another agent ") || strings.Count(page, `class="moved"`) != 2 {
		t.Error("the page does not sum up many moves")
	}
}
