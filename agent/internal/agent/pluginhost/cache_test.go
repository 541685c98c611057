package pluginhost

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost/stream"
	"github.com/stepagent/stepagent/agent/internal/agent/verdictcache"
	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
	"github.com/stepagent/stepagent/plugins/sdk"
	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
	"github.com/stepagent/stepagent/plugins/validator"
)

// wordVariable is the environment variable that tells two programs with the same plugin apart.
const wordVariable = "STEPAGENT_TEST_WORD"

// keptBytes is room for all verdicts of a test.
const keptBytes = 1 << 20

// declared is a rule that says what it reads.
type declared struct {
	rule
	reads validator.Inputs
}

func (d declared) Reads() validator.Inputs { return d.reads }

// declaredCounter is a counter that says what it reads.
type declaredCounter struct{ counter }

func (declaredCounter) Reads() validator.Inputs { return validator.InputStepID }

// told is the input of a validator of the kind "tells", which it returns in the detail of its verdict
// with a count of its calls. No two calls give the same verdict, so the same verdict twice means that
// the second was kept.
type told struct {
	Asked   int64 // calls in this process so far, the self-test included
	PID     int
	Word    string
	Session validator.Session
	Step    validator.Step
}

// newTells is the factory of the kind "tells", whose settings name what it declares to read;
// without the key it declares nothing.
func newTells(settings []byte) (validator.Validator, error) {
	reads, declares, err := decodeReads(settings)
	if err != nil {
		return nil, err
	}
	var asked atomic.Int64
	tell := func(_ context.Context, s validator.Session, step validator.Step) (validator.Verdict, error) {
		detail, err := json.Marshal(told{asked.Add(1), os.Getpid(), os.Getenv(wordVariable), s, step})
		return validator.Verdict{Outcome: validator.Pass, Detail: string(detail)}, err
	}
	if !declares {
		return rule(tell), nil
	}
	return declared{tell, reads}, nil
}

// decodeReads takes the names of inputs out of settings.
func decodeReads(settings []byte) (reads validator.Inputs, declares bool, err error) {
	var want struct {
		Reads *[]string `json:"reads"`
	}
	if err := validator.DecodeSettings(settings, &want); err != nil || want.Reads == nil {
		return 0, false, err
	}
	all := validator.AllInputs.Names()
	for _, name := range *want.Reads {
		i := slices.Index(all, name)
		if i < 0 {
			return 0, false, fmt.Errorf("there is no input %q", name)
		}
		reads |= 1 << i
	}
	return reads, true, nil
}

// readsSettings are settings for decodeReads.
func readsSettings(t testing.TB, names ...string) []byte {
	t.Helper()
	b, err := json.Marshal(map[string][]string{"reads": append([]string{}, names...)})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tells is a spec of a validator that declares what it reads, and whose verdicts are kept.
func tells(t testing.TB, name string, reads ...string) Spec {
	t.Helper()
	return Spec{Name: name, Validator: "tells", Settings: readsSettings(t, reads...),
		Cache: verdictcache.Options{Bytes: keptBytes}}
}

// recorded names what is in a step on its way: the fields that are not absent.
func recorded(call *validatorv1.StepCall) string {
	var names []string
	session, step := call.GetSession().ProtoReflect(), call.GetStep().ProtoReflect()
	for _, m := range []protoreflect.Message{session, step} {
		m.Range(func(field protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
			names = append(names, fmt.Sprintf("%s.%s", field.Parent().Name(), field.Name()))
			return true
		})
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// fullCall returns a step with every input set, for a group of n validators.
func fullCall(n int) judge.Call {
	wait := func(d time.Duration) validator.Wait { return validator.Wait{Duration: d, Declared: true} }
	return judge.Call{
		Session: validator.Session{ID: "s", Position: 3, Steps: 20},
		States:  make([][]byte, n),
		Step: validator.Step{ID: 7, Timeout: wait(4 * time.Second), Interval: wait(2 * time.Second),
			At: 9 * time.Second, Gap: wait(time.Second), Data: []byte(`{"torque":1}`)},
	}
}

// oneCall returns a step with nothing but its number, for a group of one validator.
func oneCall(id int64) judge.Call {
	return judge.Call{States: make([][]byte, 1), Step: validator.Step{ID: id}}
}

// ask has a step judged, which must give verdicts, and returns what the validators were told.
func ask(t testing.TB, g judge.Group, call judge.Call) []told {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return toldBy(t, g.Judge(ctx, call))
}

// toldBy returns what the validators say that they were told.
func toldBy(t testing.TB, answers []judge.Answer) []told {
	t.Helper()
	all := make([]told, len(answers))
	for i, a := range answers {
		if a.Err != nil {
			t.Fatalf("got %+v", answers)
		}
		if err := json.Unmarshal([]byte(a.Verdict.Detail), &all[i]); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// fresh returns the call with Fresh set.
func fresh(call judge.Call) judge.Call {
	call.Fresh = true
	return call
}

// killed kills the process of a set and waits until another one serves.
func killed(t testing.TB, set *Set) {
	t.Helper()
	before := set.Status()[0]
	if err := syscall.Kill(before.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another process serves", func() bool {
		now := set.Status()[0]
		return now.State == Serving && now.PID != before.PID
	})
}

// script writes a program that is the plugin, with a word of its own.
func script(t testing.TB, path, word string) {
	t.Helper()
	text := fmt.Sprintf("#!/bin/sh\n%s=%s exec %s plugin good\n", wordVariable, word, self(t))
	writeProgram(t, path, []byte(text))
}

func TestWhatIsKeptSurvivesACrash(t *testing.T) {
	besideOthers(t)
	path := filepath.Join(t.TempDir(), "plugin")
	script(t, path, "one")
	for name, where := range map[string]Spec{
		"bundled":              {},
		"file":                 {Path: path},
		"file with a checksum": {Path: path, Checksum: sumOf(t, path)},
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := newTestHost(t, atOnce)
			spec := tells(t, "a", "step_id")
			spec.Path, spec.Checksum = where.Path, where.Checksum
			set := startSet(t, h, spec)
			g := set.Groups()[0]
			first := ask(t, g, oneCall(7))[0]
			if first.Asked != 2 {
				t.Errorf("asked %d times, want the self-test and once more", first.Asked)
			}
			killed(t, set)
			same(t, first, ask(t, g, oneCall(7))[0])
			now := ask(t, g, fresh(oneCall(7)))[0]
			if now.PID == first.PID || now.Asked != 2 {
				t.Errorf("a fresh verdict is %+v, want one of the new process, after its self-test", now)
			}
			st := set.Status()[0]
			if st.Kept.Hits != 1 || st.Kept.Misses != 1 || st.Steps != 3 || st.Restarts != 1 {
				t.Errorf("status = %+v", st)
			}
		})
	}
}

// While the plugin is down, steps whose verdict is kept are judged without a wait: their context has
// ended before the call.
func TestWhatIsKeptIsJudgedWhileThePluginIsDown(t *testing.T) {
	besideOthers(t)
	for name, test := range map[string]struct {
		down     func(st Status) bool
		backoff  time.Duration
		refusing bool
	}{
		"next start is far off": {func(st Status) bool { return st.State == BackingOff }, time.Hour, false},
		"breaker is open":       {func(st Status) bool { return st.Refusing }, time.Millisecond, true},
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := newTestHost(t, func(o *Options) {
				o.BackoffMin, o.BackoffMax, o.Lasting = test.backoff, time.Hour, time.Hour
			})
			path := filepath.Join(t.TempDir(), "plugin")
			script(t, path, "one")
			spec := tells(t, "a", "step_id")
			spec.Path, spec.Cache.RecheckEvery = path, 1 // which waits for the plugin behind the replies
			set := startSet(t, h, spec)
			g := set.Groups()[0]
			first := ask(t, g, oneCall(7))[0]
			writeProgram(t, path, []byte("#!/bin/sh\nexit 1\n"))
			if err := syscall.Kill(set.Status()[0].PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the plugin is down", func() bool { return test.down(set.Status()[0]) })

			ended, cancel := context.WithCancel(t.Context())
			cancel()
			same(t, first, toldBy(t, g.Judge(ended, oneCall(7)))[0])
			call := oneCall(7)
			answers, ok := g.Try(&call)
			if !ok {
				t.Fatal("Try has no answer")
			}
			g.Tried(&call, answers)
			same(t, first, toldBy(t, answers)[0])
			if a := within(t, 50*time.Millisecond, g, 8)[0]; a.Err == nil {
				t.Errorf("a step whose verdict is not kept: %+v", a)
			}
			st := set.Status()[0]
			if st.Kept.Hits != 2 || st.Steps != 4 || st.Errors != 1 || st.Kept.Differing != 0 || st.PID != 0 ||
				test.refusing != st.Refusing {
				t.Errorf("status = %+v", st)
			}
		})
	}
}

// When the plugin's file is replaced, the next start runs the new program. From then on no verdict of
// the old program is given.
func TestAnotherProgramDropsWhatWasKept(t *testing.T) {
	besideOthers(t)
	for name, replace := range map[string]func(t *testing.T, path string){
		"renamed": func(t *testing.T, path string) {
			script(t, path+".new", "two")
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
		},
		"written over": func(t *testing.T, path string) { script(t, path, "two") },
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := newTestHost(t, atOnce)
			path := filepath.Join(t.TempDir(), "plugin")
			script(t, path, "one")
			spec := tells(t, "a", "step_id")
			spec.Path = path
			set := startSet(t, h, spec)
			g := set.Groups()[0]
			first := ask(t, g, oneCall(7))[0]
			replace(t, path)
			same(t, first, ask(t, g, oneCall(7))[0])
			if first.Word != "one" {
				t.Errorf("before the restart: %+v", first)
			}
			killed(t, set)
			second := ask(t, g, oneCall(7))[0]
			if second.Word != "two" || second.PID == first.PID {
				t.Errorf("after the restart: %+v", second)
			}
			same(t, second, ask(t, g, oneCall(7))[0])
			if st := set.Status()[0].Kept; st.Hits != 2 || st.Misses != 2 || st.Entries != 1 {
				t.Errorf("status = %+v", st)
			}
		})
	}
}

func TestNothingIsKept(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, nil)
	for name, test := range map[string]struct {
		settings []byte
		bytes    int
		reads    []string // in the status
	}{
		"undeclared": {nil, keptBytes, nil},
		"at":         {readsSettings(t, "step_id", "at"), keptBytes, []string{"step_id", "at"}},
		"gap":        {readsSettings(t, "gap"), keptBytes, []string{"gap"}},
		"0 bytes":    {readsSettings(t, "step_id"), 0, []string{"step_id"}},
	} {
		t.Run(name, func(t *testing.T) {
			set := startSet(t, h, Spec{Name: "a", Validator: "tells", Settings: test.settings,
				Cache: verdictcache.Options{Bytes: test.bytes}})
			g, call := set.Groups()[0], fullCall(1)
			const steps = 3
			for n := range int64(steps) {
				if got := ask(t, g, call)[0]; got.Asked != n+2 {
					t.Errorf("step %d is call %d of the validator, want %d", n, got.Asked, n+2)
				}
				if _, ok := g.Try(&call); ok {
					t.Error("Try has an answer")
				}
			}
			st := set.Status()[0]
			if st.Kept != (verdictcache.Status{}) || st.Steps != steps {
				t.Errorf("status = %+v", st)
			}
			same(t, test.reads, st.Reads)
		})
	}
}

// wireFields maps an input to its field of the message.
var wireFields = map[string]string{
	"position": "Session.position", "steps": "Session.steps",
	"step_id": "Step.id", "timeout": "Step.timeout_ns", "interval": "Step.interval_ns",
	"at": "Step.at_ns", "gap": "Step.gap_ns", "data": "Step.data",
}

// The plugin records which fields it receives: the declared ones and no other, and never Session.id.
// It does not use the SDK, which masks inputs too.
func TestOnlyDeclaredInputsAreSent(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, nil)
	all := validator.AllInputs.Names()
	sets := map[string][]string{"nothing": {}, "everything": all, "undeclared": nil}
	// Of any two inputs, one set has the first alone and one has the second alone.
	for bit := 1; bit < len(all); bit <<= 1 {
		for _, has := range []int{0, bit} {
			name := fmt.Sprintf("those with %d at %d", has, bit)
			for n, input := range all {
				if n&bit == has {
					sets[name] = append(sets[name], input)
				}
			}
		}
	}
	for name, reads := range sets {
		t.Run(name, func(t *testing.T) {
			spec := Spec{Name: "a", Validator: "v", Path: self(t), Args: []string{"plugin", "records"}}
			want := all
			if reads != nil {
				spec.Settings, want = readsSettings(t, reads...), reads
			}
			set := startSet(t, h, spec)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			a := set.Groups()[0].Judge(ctx, fullCall(1))[0]
			var fields []string
			for _, input := range want {
				fields = append(fields, wireFields[input])
			}
			slices.Sort(fields)
			if want := strings.Join(fields, " "); a.Verdict.Detail != want || a.Err != nil {
				t.Errorf("%v: got %q, want %q", a.Err, a.Verdict.Detail, want)
			}
			same(t, reads, set.Status()[0].Reads)
		})
	}
}

// A declaration with an input that this agent does not know is ignored: the plugin is sent every input
// and asked each time.
func TestAnInputThatIsNotKnownIsNoDeclaration(t *testing.T) {
	l := &instance{}
	for number, want := range map[validatorv1.Input]bool{validatorv1.Input_INPUT_DATA: true, 99: false} {
		l.reads, l.declared = sdk.DecodeReads(&validatorv1.Inputs{Inputs: []validatorv1.Input{number}})
		if keeps := stream.Key(l.reads) != nil; keeps != want || l.declared != want {
			t.Errorf("input %d: keeps %v, declared %v", number, keeps, l.declared)
		}
	}
}

// The key of validators that share a process is the union of their inputs. Each of them sees only its
// own.
func TestNeighboursAreKeptByWhatAnyOfThemReads(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, nil)
	set := startSet(t, h, tells(t, "a", "step_id"), tells(t, "b", "data"))
	g := set.Groups()[0]
	first := ask(t, g, fullCall(2))
	if a := first[0]; a.Step.ID != 7 || a.Step.Data != nil || a.Session.ID != "" {
		t.Errorf("the first was told %+v", a)
	}
	if b := first[1]; b.Step.ID != 0 || b.Step.Data == nil || b.Session.ID != "" {
		t.Errorf("the second was told %+v", b)
	}
	asked := int64(2)
	for _, test := range []struct {
		name   string
		change func(c *judge.Call)
		kept   bool
	}{
		{"nothing", func(*judge.Call) {}, true},
		{"what none of them reads", func(c *judge.Call) {
			c.Session = validator.Session{ID: "other", Position: 1, Steps: 2}
			c.Step = validator.Step{ID: c.Step.ID, Data: c.Step.Data}
		}, true},
		{"what the first reads", func(c *judge.Call) { c.Step.ID++ }, false},
		{"what the second reads", func(c *judge.Call) { c.Step.Data = []byte(`{"torque":2}`) }, false},
		{"no data", func(c *judge.Call) { c.Step.Data = nil }, false},
		{"the state of the first", func(c *judge.Call) { c.States[0] = []byte{1} }, false},
		{"the state of the second", func(c *judge.Call) { c.States[1] = []byte{1} }, false},
	} {
		call := fullCall(2)
		test.change(&call)
		got := ask(t, g, call)
		if !test.kept {
			asked++
		}
		want := asked
		if test.kept {
			want = 2
		}
		if got[0].Asked != want || got[1].Asked != want {
			t.Errorf("%s is changed: verdicts %d and %d, want %d", test.name, got[0].Asked, got[1].Asked, want)
		}
	}
	same(t, first, ask(t, g, fullCall(2)))
	same(t, []string{"step_id", "data"}, set.Status()[0].Reads)
}

// With one validator that declares nothing, no verdict of the process is kept.
func TestAnUndeclaredNeighbourKeepsAllFromBeingKept(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, nil)
	undeclared := tells(t, "b")
	undeclared.Settings = nil
	set := startSet(t, h, tells(t, "a", "step_id"), undeclared, tells(t, "c", "step_id"))
	for n := range int64(3) {
		for i, got := range ask(t, set.Groups()[0], fullCall(3)) {
			if sees := got.Step.Data != nil; got.Asked != n+2 || sees != (i == 1) {
				t.Errorf("validator %d was told %+v", i, got)
			}
		}
	}
	if st := set.Status()[0]; st.Kept.Keeping || st.Reads != nil {
		t.Errorf("status = %+v", st)
	}
}

// The self-test and the trial reload call the plugin, although the verdicts for the same
// steps are kept, and count as no steps.
func TestTrialsReachAPluginWhoseVerdictsAreKept(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, atOnce)
	old := startSet(t, h, tells(t, "a", "step_id"))
	const steps = trialSteps + 1 // all that the trial reload has
	for id := range int64(steps) {
		ask(t, old.Groups()[0], oneCall(id+1))
	}
	before := old.Status()[0]
	next, err := h.Follow(t.Context(), old, []Spec{tells(t, "a", "step_id")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { next.Close(context.Background()) })
	if after := old.Status()[0]; after.Steps != before.Steps || after.Kept != before.Kept {
		t.Errorf("the trial reload counts: before %+v\nafter %+v", before, after)
	}
	const selfTest, asked = 1, 1
	for name, test := range map[string]struct {
		set  *Set
		want int64
	}{
		"old": {old, selfTest + steps + trialSteps + asked},
		"new": {next, selfTest + trialSteps + asked},
	} {
		if got := ask(t, test.set.Groups()[0], fresh(oneCall(1)))[0].Asked; got != test.want {
			t.Errorf("the %s one was asked %d times, want %d", name, got, test.want)
		}
	}
	killed(t, old)
	if got := ask(t, old.Groups()[0], fresh(oneCall(1)))[0].Asked; got != selfTest+asked {
		t.Errorf("after a crash it was asked %d times, want %d", got, selfTest+asked)
	}
}

// A validator that declares its inputs and gives two verdicts for the same ones is found by the recheck
// of a kept verdict. Nothing is kept from then on, not even of the next process.
func TestADeclaredValidatorThatIsNotPure(t *testing.T) {
	besideOthers(t)
	h, log := newTestHost(t, atOnce)
	set := startSet(t, h, Spec{Name: "a", Validator: "flaky-declared",
		Cache: verdictcache.Options{Bytes: keptBytes, RecheckEvery: 1}})
	g := set.Groups()[0]
	passes(t, g, 1)
	passes(t, g, 1) // what was kept, and is judged again
	eventually(t, "two verdicts are noticed", func() bool { return set.Status()[0].Kept.Differing == 1 })
	if a := within(t, patience, g, 1)[0]; a.Err != nil || a.Verdict.Outcome != validator.Fail {
		t.Errorf("got %+v, want the verdict that it gives now", a)
	}
	if !strings.Contains(log.String(), "a validator gave two verdicts for one step") {
		t.Error("the log does not say so")
	}
	killed(t, set)
	passes(t, g, 1)
	if a := within(t, patience, g, 1)[0]; a.Err != nil || a.Verdict.Outcome != validator.Fail {
		t.Errorf("got %+v, want the verdict that the next process gives", a)
	}
	st := set.Status()[0]
	if st.Kept.Keeping || st.Kept.Hits != 1 || !strings.Contains(st.Trouble(), "no verdicts are kept") {
		t.Errorf("status = %+v: %s", st, st.Trouble())
	}
}

// Sessions get the same verdicts, kept or not, while the process is killed again and again.
func TestKeptVerdictsUnderKills(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, atOnce)
	set := startSet(t, h, Spec{Name: "a", Validator: "counter-declared",
		Cache: verdictcache.Options{Bytes: 16 << 10, RecheckEvery: 100, ShadowEvery: 10}})
	// Sessions of more steps than there is room for, so that verdicts are evicted all the time.
	c := newCrowd(t, set.Groups()[0], 16, func(c *crowd) { c.steps = 200 })
	const steps = 3000
	kills := soaktest.Repetitions(t, 500, 2)
	each := int64(steps / (kills + 1))
	for range kills {
		c.advance(t, each)
		killed(t, set)
	}
	c.advance(t, each)
	c.end()
	st := set.Status()[0]
	if k := st.Kept; k.Hits == 0 || k.Misses < 1000 || k.Differing != 0 || st.Errors != 0 ||
		st.Restarts != uint64(kills) || int64(st.Steps) != c.judged.Load() {
		t.Errorf("status = %+v, after %d steps", st, c.judged.Load())
	}
}

// A step is judged again as it was at first: the caller may reuse the memory of the call meanwhile.
func TestWhatIsJudgedAgainIsTheStepAsItWas(t *testing.T) {
	besideOthers(t)
	h, log := newTestHost(t, nil)
	set := startSet(t, h, Spec{Name: "a", Validator: "mirror", Cache: verdictcache.Options{ShadowEvery: 1}})
	g, data, states := set.Groups()[0], []byte(`{"n":0}`), make([][]byte, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for n := range 100 {
		data[5], states[0] = byte('0'+n%10), []byte{byte(n)}
		call := judge.Call{States: states, Step: validator.Step{ID: 1, Data: data}}
		want := fmt.Sprintf("%s after %x", data, states[0])
		if a := g.Judge(ctx, call)[0]; a.Err != nil || a.Verdict.Detail != want {
			t.Errorf("got %+v, want %s", a, want)
		}
		data[5], states[0] = 'x', nil
	}
	set.Close(t.Context())
	if n := set.Status()[0].Kept.Differing; n != 0 || strings.Contains(log.String(), "two verdicts") {
		t.Errorf("%d steps were judged differently", n)
	}
}
