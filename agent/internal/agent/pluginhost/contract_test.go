package pluginhost

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/plugins/sdk"
)

func TestP04WhatBreaksTheContractIsReplaced(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, func(o *Options) { // one restart at once, no second
		o.BackoffMin, o.BackoffMax, o.Lasting = time.Hour, time.Hour, time.Hour
	})
	for kind, want := range map[string]string{
		"too-many-verdicts": "it gave 2 verdicts for 1 validators",
		"no-verdicts":       "it gave 0 verdicts for 1 validators",
		"unknown-call":      "it answered call 1002, which is not open",
		"answers-twice":     "it answered call 2, which is not open",
		"huge-answer":       "received message larger than max",
		"answers-nothing":   "it floods the agent with messages that answer nothing",
		"ends-the-stream":   "the plugin's stream ended",
		"floods-frames":     "it floods the agent with frames that belong to no message",
	} {
		t.Run(kind, func(t *testing.T) {
			set := startSet(t, h, Spec{Name: "a", Validator: "v", Path: self(t), Args: []string{"plugin", kind}})
			within(t, patience, set.Groups()[0], 1)
			eventually(t, "another process serves", func() bool { return set.Status()[0].Restarts > 0 })
			if st := set.Status()[0]; !strings.Contains(st.LastError, want) {
				t.Errorf("status = %+v, want %q", st, want)
			}
		})
	}
}

// Whatever a plugin says at its end, people and clients get one short line of it.
func TestP04TheLastWordsOfAStreamAreBrief(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, atOnce)
	set := startSet(t, h, Spec{Name: "a", Validator: "v", Path: self(t), Args: []string{"plugin", "ends-with-a-novel"}})
	a := within(t, patience, set.Groups()[0], 1)[0]
	eventually(t, "another process serves", func() bool { return set.Status()[0].Restarts > 1 })
	for _, text := range []string{fmt.Sprint(a.Err), set.Status()[0].LastError} {
		if !strings.Contains(text, `the plugin's stream ended: once \x1b[31m upon once`) || len(text) > 2*sdk.MaxErrorBytes {
			t.Errorf("got %d bytes: %.300q", len(text), text)
		}
	}
}

func TestP04MalformedVerdictIsUndecided(t *testing.T) {
	h, _ := newTestHost(t, nil)
	for kind, want := range map[string]string{
		"outcome-7":  "malformed verdict: outcome: 7 is neither pass nor fail",
		"huge-state": "malformed verdict: state: 4097 bytes, at most 4096 are allowed",
	} {
		set := startSet(t, h, Spec{Name: "a", Validator: "v", Path: self(t), Args: []string{"plugin", kind}})
		a := within(t, patience, set.Groups()[0], 1)[0]
		if a.Err == nil || a.Err.Error() != want {
			t.Errorf("got %+v, want %s", a, want)
		}
	}
}

func TestP03LateVerdictIsThrownAway(t *testing.T) {
	h, _ := newTestHost(t, nil)
	set := startSet(t, h, Spec{Name: "a", Validator: "v", Path: self(t), Args: []string{"plugin", "late"}})
	for range 3 {
		if a := within(t, 30*time.Millisecond, set.Groups()[0], 1)[0]; a.Err == nil {
			t.Errorf("got %+v", a)
		}
	}
}

func TestOutputOverGRPCIsRead(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, nil)
	set := startSet(t, h, Spec{Name: "a", Validator: "v", Path: self(t), Args: []string{"plugin", "prints-over-grpc"}})
	passes(t, set.Groups()[0], 1)
	if st := set.Status()[0]; st.Plugin != `rogue\x1b` || st.Restarts != 0 {
		t.Errorf("status = %+v", st)
	}
}

// What a plugin says of itself is cut where it stops being of use to people.
func TestP04APluginThatTalksTooMuch(t *testing.T) {
	h, _ := newTestHost(t, nil)
	_, err := h.Start(t.Context(), []Spec{{Name: "a", Validator: "v", Path: self(t), Args: []string{"plugin", "talks-too-much"}}})
	all := specErrors(t, err)
	if len(all) != 1 || all[0].Key != "validator" || len(all[0].Problem) > 100*maxListedNames+1000 ||
		!strings.Contains(all[0].Problem, "much ...") {
		t.Errorf("got %+v", all)
	}
}

// However many parts a plugin makes its messages of, they do not take the agent's memory: a million
// verdicts fit into 2 MiB and would take 200 in memory.
func TestP04MessagesOfManyPartsTakeNoMemory(t *testing.T) {
	const most = 64 << 20
	h, _ := newTestHost(t, nil)
	for kind, want := range map[string]string{
		"has-a-million":      "Describe: grpc: failed to unmarshal the received message: a message of 1048577 parts, at most 65536 are allowed",
		"a-million-results":  "Configure: grpc: failed to unmarshal the received message: a message of 1048577 parts, at most 65536 are allowed",
		"a-million-verdicts": "a message of 1048578 parts, at most 65536 are allowed",
	} {
		t.Run(kind, func(t *testing.T) {
			before := allocated()
			spec := Spec{Name: "a", Validator: "v", Path: self(t), Args: []string{"plugin", kind}}
			set, err := h.Start(t.Context(), []Spec{spec})
			if err == nil {
				err = within(t, patience, set.Groups()[0], 1)[0].Err
				set.Close(t.Context())
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %s", err, want)
			}
			if took := allocated() - before; took > most {
				t.Errorf("it took %d MiB of memory, want at most %d", took>>20, most>>20)
			}
		})
	}
}

// allocated returns how many bytes this process has allocated so far.
func allocated() uint64 {
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	return now.TotalAlloc
}
