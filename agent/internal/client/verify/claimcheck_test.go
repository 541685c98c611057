package verify_test

import (
	"slices"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/client/verify"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
	"github.com/stepagent/stepagent/agent/internal/testkit/capturetest"
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
