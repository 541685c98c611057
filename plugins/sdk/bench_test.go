package sdk

import (
	"io"
	"testing"
	"time"

	"github.com/stepagent/stepagent/plugins/mintimeout"
	"github.com/stepagent/stepagent/plugins/sequence"
	"github.com/stepagent/stepagent/plugins/validator"
)

// benchSteps are in one batch, about as many as 256 clients bring together.
const benchSteps = 32

// benchCall is a step as the default chain gets it.
func benchCall() *Call {
	return &Call{
		Number: 1000, Budget: 5 * time.Second,
		Session: validator.Session{ID: "127.0.0.1:40000#3", Position: 4, Steps: 10},
		States:  [][]byte{nil, nil},
		Step: validator.Step{
			ID: 5, At: 400 * time.Millisecond,
			Timeout:  validator.Wait{Duration: 5 * time.Second, Declared: true},
			Interval: validator.Wait{Duration: 100 * time.Millisecond, Declared: true},
			Gap:      validator.Wait{Duration: 100 * time.Millisecond, Declared: true},
		},
	}
}

func benchInstances(b *testing.B) []instance {
	b.Helper()
	var all []instance
	for _, factory := range []validator.Factory{sequence.New, mintimeout.New} {
		in, err := newInstance("bench", factory, nil, io.Discard)
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, in)
	}
	return all
}

// perStep reports what an operation of benchSteps costs for each of them.
func perStep(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/benchSteps, "ns/step")
}

// A benchAgent sends the same batch over and over and takes the answers.
type benchAgent struct {
	frame, rest []byte
	batches     int
	answered    int // in bytes
}

func (a *benchAgent) Read(p []byte) (int, error) {
	if len(a.rest) == 0 {
		if a.batches == 0 {
			return 0, io.EOF
		}
		a.batches--
		a.rest = a.frame
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

func (a *benchAgent) Write(p []byte) (int, error) {
	a.answered += len(p)
	return len(p), nil
}

// What the plugin does for a batch of steps, the system calls left aside.
func BenchmarkPort(b *testing.B) {
	frame := make([]byte, FrameHeaderBytes)
	for range benchSteps {
		frame = AppendCall(frame, benchCall())
	}
	SealFrame(frame)
	instances := benchInstances(b)
	agent := &benchAgent{frame: frame, batches: b.N}
	b.ReportAllocs()
	b.ResetTimer()
	if err := newPort(agent, instances).run(); err != io.EOF {
		b.Fatal(err)
	}
	perStep(b)
	if agent.answered < b.N*benchSteps {
		b.Fatalf("%d bytes of answers to %d batches", agent.answered, b.N)
	}
}

// What the agent does to write a batch.
func BenchmarkAppendCall(b *testing.B) {
	call := benchCall()
	var frame []byte
	b.ReportAllocs()
	for b.Loop() {
		frame = frame[:0]
		for range benchSteps {
			frame = AppendCall(frame, call)
		}
	}
	perStep(b)
}

func benchAnswers() []Answer {
	return []Answer{{Verdict: validator.PassWith(nil), Expects: 6, Known: true}, {Verdict: validator.PassWith(nil)}}
}

// What the plugin does to write the answers.
func BenchmarkAppendAnswer(b *testing.B) {
	answers := benchAnswers()
	var frame []byte
	b.ReportAllocs()
	for b.Loop() {
		frame = frame[:0]
		for i := range benchSteps {
			frame = AppendAnswer(frame, uint64(1000+i), answers)
		}
	}
	perStep(b)
}

// What the agent does to read them.
func BenchmarkReadAnswers(b *testing.B) {
	var response []byte
	for i := range benchSteps {
		response = AppendAnswer(response, uint64(1000+i), benchAnswers())
	}
	scratch := make([]Answer, 0, 2)
	seen := 0
	b.ReportAllocs()
	for b.Loop() {
		err := ReadAnswers(response, scratch, func(_ uint64, answers []Answer) error {
			seen += len(answers)
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	perStep(b)
	if seen != 2*benchSteps*b.N {
		b.Fatalf("%d verdicts in %d batches", seen, b.N)
	}
}
