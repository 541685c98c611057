package validatortest

import (
	"bytes"
	"math"
	"math/rand/v2"
	"time"

	"github.com/stepagent/stepagent/plugins/validator"
)

// defaultSessions is the default number of generated sessions. Of that many the first is long, to
// find a State that grows with every step.
const defaultSessions = 24

func sessionSteps(n, sessions int) int {
	if n == 0 && sessions >= defaultSessions {
		return 500
	}
	return []int{1, 3, 10, 10, 10, 25}[n%6]
}

// A generator generates questions. The same options give the same questions.
type generator struct {
	rand *rand.Rand
	ids  [][]int64 // pools of equal probability
	data [][]byte
}

func newGenerator(opts Options) *generator {
	g := &generator{
		rand: rand.New(rand.NewPCG(opts.Seed, 0)),
		ids:  [][]int64{extremeIDs(), {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}},
		data: append([][]byte{nil, []byte(`{}`), []byte(`{"voltage":12.5,"ok":true,"name":"a"}`)}, opts.Data...),
	}
	if len(opts.StepIDs) > 0 {
		g.ids = append(g.ids, opts.StepIDs)
	}
	return g
}

func extremeIDs() []int64 {
	return []int64{math.MinInt64, math.MinInt64 + 1, math.MinInt32, -1, math.MaxInt32, 1 << 53, math.MaxInt64 - 1, math.MaxInt64}
}

func pick[T any](g *generator, from []T) T { return from[g.rand.IntN(len(from))] }

// step returns a step as clients send it, mostly the expected one.
func (g *generator) step(session validator.Session, expected int64, known bool) validator.Step {
	step := validator.Step{
		ID:       pick(g, pick(g, g.ids)),
		Timeout:  g.wait(),
		Interval: g.wait(),
		At:       time.Duration(session.Position) * time.Second,
		Data:     pick(g, g.data),
	}
	if known && g.rand.IntN(2) == 0 {
		step.ID = expected
	}
	if session.Position > 0 {
		step.Gap = validator.Wait{Duration: time.Duration(g.rand.Int64N(int64(3 * time.Second))), Declared: true}
	}
	return step
}

func (g *generator) wait() validator.Wait {
	if g.rand.IntN(4) == 0 {
		return validator.Wait{}
	}
	of := []time.Duration{0, 1, 10 * time.Millisecond, time.Second, 5*time.Second - 1, 5 * time.Second,
		time.Duration(g.rand.Int64N(int64(20 * time.Second)))}
	return validator.Wait{Duration: pick(g, of), Declared: true}
}

// hostile returns questions that do not occur in ordinary sessions: every extreme id, wait and data, with
// and without a state, and every bad state with two steps.
func (g *generator) hostile(asked []question) []question {
	own := ownStates(asked)
	var qs []question
	for _, session := range []validator.Session{
		{ID: "hostile", Steps: 10},
		{ID: "hostile", Steps: 1, Position: math.MaxInt},
		{ID: "hostile", Steps: math.MaxInt, Position: 3, State: pick(g, append(own, nil))},
	} {
		for _, step := range g.hostileSteps() {
			qs = append(qs, question{session: session, step: step})
		}
	}
	for _, state := range g.hostileStates(own) {
		session := validator.Session{ID: "hostile", Steps: 10, Position: 1 + g.rand.IntN(9), State: state}
		qs = append(qs,
			question{session: session, step: validator.Step{ID: int64(session.Position) + 1}},
			question{session: session, step: validator.Step{ID: pick(g, pick(g, g.ids)), Timeout: g.wait()}})
	}
	return qs
}

func (g *generator) hostileSteps() []validator.Step {
	const forever = time.Duration(math.MaxInt64)
	var steps []validator.Step
	for _, id := range extremeIDs() {
		steps = append(steps, validator.Step{ID: id})
	}
	for _, wait := range []validator.Wait{{}, {Declared: true}, {Duration: forever, Declared: true}} {
		steps = append(steps,
			validator.Step{ID: 1, Timeout: wait},
			validator.Step{ID: 1, Interval: wait, Gap: wait, At: wait.Duration},
			validator.Step{ID: 1, Interval: wait, Gap: validator.Wait{Declared: true}},
			validator.Step{ID: 1, Gap: wait, At: wait.Duration})
	}
	for _, data := range hostileData() {
		steps = append(steps, validator.Step{ID: 1, Data: data})
	}
	return steps
}

func hostileData() [][]byte {
	deep := bytes.Repeat([]byte(`{"a":[`), 600)
	return [][]byte{
		{}, {0}, []byte("{"), []byte("null"), []byte("[]"), []byte(`"x"`), []byte("{}{}"),
		[]byte(`{"voltage":1e999}`), []byte(`{"voltage":null,"voltage":"x"}`), []byte("{\"\xff\":\"\xfe\"}"),
		[]byte(`{"voltage":-9223372036854775809}`), deep, bytes.Repeat([]byte("x"), 4096),
	}
}
