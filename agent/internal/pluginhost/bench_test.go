package pluginhost

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/judge"
	"github.com/stepagent/stepagent/plugins/validator"
)

// The cost of one step through a plugin process, for a client alone and for many.
func BenchmarkJudge(b *testing.B) {
	h, _ := newTestHost(b, nil)
	g := startSet(b, h, Spec{Name: "a", Validator: "counter"}).Groups()[0]
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	call := judge.Call{Session: validator.Session{ID: "bench", Position: 3, Steps: 10},
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
