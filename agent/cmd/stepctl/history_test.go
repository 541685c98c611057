package main

import (
	"bytes"
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/protocol"
)

// cmdStored adds runs of the procedure "door" to a database, a day apart, after those that it has:
//
//	stored DB COUNT FACTOR BOARD LABEL [STEP]
//
// Each has 12 steps of about 20, 40, 60... ms times the factor, with a noise of 1 % that is the same at
// each execution. At STEP, the agent refuses every third run.
func cmdStored(ts *testscript.TestScript, _ bool, args []string) {
	ctx := context.Background()
	db, err := database.Open(ctx, ts.MkAbs(args[0]))
	ts.Check(err)
	defer func() { ts.Check(db.Close()) }()
	count, err := strconv.Atoi(args[1])
	ts.Check(err)
	factor, err := strconv.ParseFloat(args[2], 64)
	ts.Check(err)
	refused := 0
	if len(args) > 5 {
		refused, err = strconv.Atoi(args[5])
		ts.Check(err)
	}
	key, value, _ := strings.Cut(args[4], "=")
	runs, err := db.Runs(ctx, database.Filter{Limit: 1000})
	ts.Check(err)
	for i := range count {
		day := len(runs) + i
		step := refused
		if i%3 != 0 {
			step = 0
		}
		raw := doorRecord(time.Date(2026, 10, 1, 3, 0, 0, 0, time.UTC).AddDate(0, 0, day), factor, step, rand.New(rand.NewPCG(15, uint64(day))))
		_, _, err := db.Add(ctx, "door.jsonl", raw, database.Meta{Board: args[3], Labels: map[string]string{key: value}})
		ts.Check(err)
	}
}

// doorRecord returns the record of a run, see cmdStored.
func doorRecord(at time.Time, factor float64, refused int, random *rand.Rand) []byte {
	var b bytes.Buffer
	w := record.NewWriter(&b)
	now, counts := time.Duration(0), record.Counts{}
	write := func(e record.Event) {
		e.At = now
		if err := w.Write(e); err != nil {
			panic(err)
		}
	}
	procedure := record.Procedure{Name: "door.json", SHA256: strings.Repeat("d0", 32)}
	for id := range int64(12) {
		procedure.Steps = append(procedure.Steps, record.Step{StepID: id + 1, Timeout: time.Second})
	}
	write(record.Event{Kind: record.KindStart, Start: &record.Start{Format: record.Format, Client: "1.1.0", Agent: "1.1.0", Host: "pc", Address: "b:8080", Time: at, Procedure: procedure}})
	for i, step := range procedure.Steps {
		e := record.Event{Index: i + 1, StepID: step.StepID}
		sent, reply, interval := e, e, e
		sent.Kind, sent.Timeout = record.KindSent, step.Timeout
		write(sent)
		reply.Kind, reply.Reply = record.KindReply, &protocol.Reply{StepID: &step.StepID}
		reply.Took = time.Duration(float64(20*time.Millisecond) * float64(i+1) * factor * (1 + 0.01*random.NormFloat64()))
		outcome := record.Passed
		if i+1 == refused {
			reply.Reply.ErrorCode, reply.Reply.Reason, outcome = 1, protocol.OutOfOrder, record.Failed
		}
		counts[outcome]++
		now += reply.Took
		write(reply)
		if interval.Kind = record.KindInterval; i < len(procedure.Steps)-1 {
			write(interval)
		}
	}
	write(record.Event{Kind: record.KindEnd, End: &record.End{Cause: record.Finished, Counts: counts}})
	return b.Bytes()
}

func TestParsePast(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"2026-11-29": "2026-11-29T00:00:00Z", "2026-11-29 14:05": "2026-11-29T14:05:00Z", "2026-11-29 14:05:06": "2026-11-29T14:05:06Z",
		"2026-11-29T14:05:06+01:00": "2026-11-29T13:05:06Z", "12h": "2026-11-30T00:00:00Z", "30d": "2026-10-31T12:00:00Z", "0s": "2026-11-30T12:00:00Z",
	} {
		if got, err := parsePast(text, now); err != nil || got.UTC().Format(time.RFC3339) != want {
			t.Errorf("%s: %v, error %v", text, got, err)
		}
	}
	for _, text := range []string{"yesterday", "-1h", "-3d", "2026-13-01", "0001-01-01", "9999999d", "1e9h", "\x00"} {
		if got, err := parsePast(text, now); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
	if got, err := parsePast("", now); err != nil || !got.IsZero() {
		t.Errorf("%v, error %v", got, err)
	}
}
