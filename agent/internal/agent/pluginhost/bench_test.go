package pluginhost

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/verdictcache"
	"github.com/stepagent/stepagent/plugins/validator"
)

// The cost of one step through a plugin process, and of one whose verdict is kept, for a client alone
// and for many.
func BenchmarkJudge(b *testing.B) {
	for _, name := range []string{"counter", "counter-declared"} {
		b.Run("validator="+name, func(b *testing.B) { benchmarkJudge(b, name) })
	}
}

func benchmarkJudge(b *testing.B, name string) {
	h, _ := newTestHost(b, nil)
	spec := Spec{Name: "a", Validator: name, Cache: verdictcache.Options{Bytes: keptBytes}}
	g := startSet(b, h, spec).Groups()[0]
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	call := judge.Call{Session: validator.Session{Position: 3, Steps: 10},
		States: [][]byte{[]byte("...")}, Step: validator.Step{ID: 4,
			Timeout: validator.Wait{Duration: 5 * time.Second, Declared: true}}}
	one := func(b *testing.B) {
		if a := g.Judge(ctx, call)[0]; a.Err != nil || a.Verdict.Outcome != validator.Pass {
			b.Errorf("got %+v", a)
		}
	}
	b.Run("callers=1", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			one(b)
		}
	})
	b.Run("callers=256", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(256 / max(1, runtime.GOMAXPROCS(0)))
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				one(b)
			}
		})
	})
}

// BenchmarkTry is the cost of a step whose verdict is kept, without the session around it.
func BenchmarkTry(b *testing.B) {
	h, _ := newTestHost(b, nil)
	spec := Spec{Name: "a", Validator: "counter-declared", Cache: verdictcache.Options{Bytes: keptBytes, RecheckEvery: 1 << 20}}
	j := judge.New(judge.NewChain(judge.Options{Generation: 1, Limits: judge.Limits{Cap: time.Minute}}, startSet(b, h, spec).Groups()...))
	session := judge.Session{Position: 3, Steps: 10}
	step := judge.Step{Arrived: time.Now(), Step: validator.Step{ID: 4, Timeout: validator.Wait{Duration: 5 * time.Second, Declared: true}}}
	session.Memory = j.Judge(b.Context(), session, step).Memory
	j.Judge(b.Context(), session, step)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := j.Try(session, step); !ok {
			b.Fatal("not kept")
		}
	}
}
