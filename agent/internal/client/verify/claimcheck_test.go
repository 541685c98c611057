package verify_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/internal/client/verify"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
	"github.com/stepagent/stepagent/agent/internal/testkit/capturetest"
	"github.com/stepagent/stepagent/plugins/sequence"
)

// TestComments: what the comments of stepctl's own captures claim must be so.
func TestComments(t *testing.T) {
	for name, test := range map[string]struct {
		acts             []act
		verdict, session string
		want             result.Verdict
	}{
		"a pass":          {success(), "pass", "bench-7", result.Pass},
		"a fail":          {failure(), "fail", "bench-7", result.Pass},
		"undecided":       {success(), "undecided", "bench-7", result.Pass},
		"no pass":         {failure(), "pass", "bench-7", result.Fail},
		"no pass, plain":  {failure(), "pass", "", result.Fail},
		"no fail":         {success(), "fail", "bench-7", result.Fail},
		"another session": {success(), "pass", "bench-8", result.Inconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			s := scene{session: "bench-7", acts: test.acts}
			file := capturetest.File{Comment: verify.CommentOf(test.verdict, "as it was", test.session)}
			expect(t, judgeFile(t, file.Write(s.perform()), rules(t)), test.want)
		})
	}
	s := scene{session: "bench-7", acts: failure()}
	packets := s.perform()
	comment := verify.CommentOf("pass", "as it was", "bench-7")
	expect(t, judgeFile(t, capturetest.File{Comment: comment}.Write(slices.Delete(packets, 5, 6)), rules(t)), result.Inconclusive)
}

// A step that was not sent is in no packet: that all others passed does not contradict the comment, unless the
// comment, the procedure or the record says that there were no more.
func TestCommentOfStepsNotSent(t *testing.T) {
	const sentence = "3 of 4 steps passed; step 4 was not sent: no connection"
	acts := success()[:4]
	four, three := scene{session: "bench-7", acts: acts}, scene{session: "bench-7", acts: acts[:3]}
	four.perform()
	packets := three.perform()
	unreached := notSent(four.story(t, 0), 4)
	run, err := unreached.Fold()
	if err != nil || report.Sentence(run) != sentence {
		t.Fatalf("%v, %s", err, report.Sentence(run))
	}
	passed := three.story(t, 0)
	steps := procedure(t, `{"step_id":1,"timeout":5,"interval":0.5},{"step_id":2,"timeout":5,"interval":0.5},{"step_id":3,"timeout":5,"interval":0.5}`)
	for name, test := range map[string]struct {
		sentence string
		record   *record.Log
		steps    *stepfile.Procedure
		want     result.Verdict
	}{
		"not sent":                    {sentence, nil, nil, result.Pass},
		"not sent, by the record":     {sentence, &unreached, nil, result.Pass},
		"interrupted":                 {"interrupted: 2 of 5 steps passed; step 3 was not sent: no connection; step 4 was left open", nil, nil, result.Pass},
		"a resumed run":               {"8 of 9 steps passed; step 2 was refused: out_of_order", nil, nil, result.Inconclusive},
		"a step that passed":          {"2 of 3 steps passed; step 3 was not answered in time", nil, nil, result.Fail},
		"one of more that passed":     {"2 of 4 steps passed; step 3 was not answered in time; step 4 was not sent: no connection", nil, nil, result.Fail},
		"all steps":                   {"3 of 3 steps passed", nil, nil, result.Fail},
		"no counts":                   {"as it was", nil, nil, result.Fail},
		"the procedure has no more":   {sentence, nil, steps, result.Fail},
		"the record has no more":      {sentence, &passed, nil, result.Fail},
		"a record of what is claimed": {"2 of 3 steps passed", &unreached, nil, result.Fail},
	} {
		t.Run(name, func(t *testing.T) {
			opts := rules(t)
			opts.Record, opts.Procedure = test.record, test.steps
			file := capturetest.File{Comment: verify.CommentOf("fail", test.sentence, "bench-7")}
			expect(t, judgeFile(t, file.Write(packets), opts), test.want)
		})
	}
}

// What the client saw of a reply at the end of its timeout, the packets do not show, whatever the comment says.
func TestCommentOfAReplyAtItsTimeout(t *testing.T) {
	const timeout = 100 * ms
	for _, test := range []struct {
		after    time.Duration
		verdict  string
		sentence string
		want     result.Verdict
	}{
		{timeout - 1500*time.Microsecond, "fail", "1 of 2 steps passed; step 2 was not answered in time", result.Inconclusive},
		{timeout + 1500*time.Microsecond, "pass", "all 2 steps were answered in order and in time", result.Inconclusive},
		{timeout - 10*ms, "fail", "1 of 2 steps passed; step 2 was not answered in time", result.Fail},
		{timeout + 10*ms, "pass", "all 2 steps were answered in order and in time", result.Fail},
	} {
		s := scene{session: "bench-7", acts: success()[:2]}
		s.acts[1].timeout, s.acts[1].after = timeout, test.after
		file := capturetest.File{Comment: verify.CommentOf(test.verdict, test.sentence, "bench-7")}
		expect(t, judgeFile(t, file.Write(s.perform()), rulesOf(t, sequence.New)), test.want)
	}
}

// TestCommentOfAnotherProcedure: the step file that a comment names is the one that is given.
func TestCommentOfAnotherProcedure(t *testing.T) {
	p, err := stepfile.Builtin("success")
	if err != nil {
		t.Fatal(err)
	}
	s := scene{session: "bench-7"}
	for _, step := range p.Steps {
		s.acts = append(s.acts, act{id: step.ID, timeout: step.Timeout, interval: step.Interval})
	}
	packets := s.perform()
	opts := rules(t)
	opts.Procedure = &p
	for sha, want := range map[string]result.Verdict{p.SHA256: result.Pass, "00" + p.SHA256[2:]: result.Fail} {
		file := capturetest.File{Comment: "run of success (sha256 " + sha + ") against 192.0.2.2:8080"}
		expect(t, judgeFile(t, file.Write(packets), opts), want)
	}
}

// TestSnaplen: packets that were cut off say so, also where no conversation is left.
func TestSnaplen(t *testing.T) {
	s := scene{session: "bench-7", acts: success()}
	packets := s.perform()
	for _, bytes := range []int{70, 110} {
		r := judgeFile(t, capturetest.File{Snaplen: bytes}.Write(packets), rules(t))
		expect(t, r, result.Inconclusive, "cut off when they were captured (snaplen)")
	}
}
