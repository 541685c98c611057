package result

import "fmt"

// A Verdict says whether the capture supports a claim. The zero value is Inconclusive.
type Verdict uint8

// The verdicts.
const (
	// Inconclusive: the capture is not sufficient to decide.
	Inconclusive Verdict = iota
	// Pass: the capture supports the claim.
	Pass
	// Fail: the capture contradicts the claim.
	Fail
)

// String returns the name of the verdict in reports.
func (v Verdict) String() string { return [...]string{"inconclusive", "pass", "fail"}[v] }

// MarshalText returns the name of the verdict.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// And returns the worse of two verdicts: Fail, then Inconclusive, then Pass.
func (v Verdict) And(other Verdict) Verdict {
	if v == Pass || other == Fail {
		return other
	}
	return v
}

// A Finding is one result of a check. Its verdict is Pass for a note.
type Finding struct {
	Verdict Verdict `json:"verdict"`
	// Code is for programs; docs/verify.md lists the codes, to which new ones may be added.
	Code string `json:"code"`
	// Text is one sentence, in lower case and without a full stop.
	Text string `json:"text"`
	// Packet is the packet of the finding, 0 for none.
	Packet int `json:"packet,omitempty"`
}

// Weaken makes a failure inconclusive and adds why.
func (f *Finding) Weaken(why string) {
	f.Verdict = Inconclusive
	f.Text += "; but " + why
}

// Findings are the results of checks.
type Findings []Finding

// Add adds a finding; packet is 0 for none.
func (f *Findings) Add(verdict Verdict, code string, packet int, format string, args ...any) {
	*f = append(*f, Finding{Verdict: verdict, Code: code, Text: fmt.Sprintf(format, args...), Packet: packet})
}

// Verdict returns the worst verdict of the findings.
func (f Findings) Verdict() Verdict {
	verdict := Pass
	for _, one := range f {
		verdict = verdict.And(one.Verdict)
	}
	return verdict
}

// FailUnless returns the verdict of a contradiction: Fail, or Inconclusive when it may be explained
// by something that the capture lacks.
func FailUnless(explained bool) Verdict {
	if explained {
		return Inconclusive
	}
	return Fail
}
