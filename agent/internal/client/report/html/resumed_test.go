package html

import (
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/protocol"
)

// The page says for how long a run was interrupted, and where.
func TestPageOfAResumedRun(t *testing.T) {
	at := func(next int, sent bool) record.Resumption {
		return record.Resumption{Resumed: record.Resumed{Away: 12 * time.Second}, Next: next, Sent: sent}
	}
	run := everything(t)
	run.Steps[0].StepID, run.Steps[1].StepID = 7, 8
	for _, tt := range []struct {
		resumptions     []record.Resumption
		english, korean string
	}{
		{[]record.Resumption{at(1, false)}, "interrupted for 12 s before its first step", "첫 단계를 전송하기 전에 실행이 12초 동안 중단"},
		{[]record.Resumption{at(2, false)}, "interrupted for 12 s after step 7", "단계 7 이후 12초 동안 중단"},
		{[]record.Resumption{at(2, true)}, "interrupted for 12 s while step 8 waited", "단계 8의 응답을 기다리던 중 실행이 12초 동안 중단"},
		{[]record.Resumption{at(1, true), at(2, false)}, "interrupted 2 times, for 24 s in all", "2회 중단되었다가 재개되었습니다. 중단된 시간은 모두 24초"},
	} {
		run.Resumptions = tt.resumptions
		for language, want := range map[Language]string{English: tt.english, Korean: tt.korean} {
			page := strings.ReplaceAll(render(t, run, language), ".000", "")
			if !strings.Contains(page, want) {
				t.Errorf("the page in %s lacks %q", language, want)
			}
			if words := wordsOf(language); strings.Contains(page, words.SessionGone) {
				t.Errorf("the page in %s says that the session is gone", language)
			}
		}
	}
	step := &run.Steps[1]
	step.Outcome, step.Reason, step.Detail = record.Failed, protocol.OutOfOrder, "step 7 must come now, got 8"
	run.Resumptions = []record.Resumption{at(2, false)}
	for _, language := range []Language{English, Korean} {
		if !strings.Contains(render(t, run, language), wordsOf(language).SessionGone) {
			t.Errorf("the page in %s lacks that the session is gone", language)
		}
	}
}
