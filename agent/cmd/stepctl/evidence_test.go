package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// evidence is the folder of the captures that were taken with the packaged commands.
const evidence = "../../../pcap/"

// judged is what these tests look at in the output of verify --json.
type judged struct {
	Verdict     string
	Connections int
	Sessions    []struct {
		ID    string
		Steps []struct {
			StepID   int `json:"step_id"`
			Outcome  string
			Reason   string
			Response *float64
			Timeout  *float64
			Request  struct{ Text string }
		}
	}
}

// verifyJSON runs stepctl verify and returns what it says, its exit code, and its complaints.
func verifyJSON(t *testing.T, args ...string) (judged, int, string) {
	t.Helper()
	code, out, complaints, err := runs(append([]string{"verify", "--json"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	var said judged
	if err := json.Unmarshal(out, &said); err != nil && code == 0 {
		t.Fatalf("%v in %s", err, out)
	}
	return said, code, string(out) + string(complaints)
}

// TestEvidence: every capture of the repository shows what its README claims, and agrees with its
// record.
func TestEvidence(t *testing.T) {
	for name, want := range map[string]struct {
		capture, record, data string
		sessions, connections int
		outcomes              map[string]int
		reasons               map[string]int
	}{
		"success": {"success.pcapng", "success.jsonl", "success", 1, 1, map[string]int{"passed": 10}, nil},
		"failure": {"failure.pcapng", "failure.jsonl", "failure", 1, 1, map[string]int{"passed": 7, "refused": 3},
			map[string]int{"out_of_order": 1, "timeout_too_short": 2}},
		"timeout": {"timeout.pcapng", "timeout.jsonl", "timeout", 1, 2,
			map[string]int{"passed": 7, "timed_out": 1, "late": 1, "lost": 1}, nil},
		"clients": {"clients.pcap", "", "success", 20, 20, map[string]int{"passed": 200}, nil},
		"field": {"field.pcap", "", "failure", 1, 10, map[string]int{"passed": 7, "refused": 3},
			map[string]int{"out_of_order": 1, "timeout_too_short": 2}},
		"killed": {"killed.pcapng", "killed.jsonl", "success", 1, 1, map[string]int{"passed": 10}, nil},
		"tls": {"tls.pcapng", "tls.jsonl", "failure", 1, 1, map[string]int{"passed": 7, "refused": 3},
			map[string]int{"out_of_order": 1, "timeout_too_short": 2}},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{evidence + want.capture, "--data", want.data}
			if want.record != "" {
				args = append(args, "--record", evidence+want.record)
			}
			if name == "tls" {
				args = append(args, "--keylog", evidence+"tls.keys")
			}
			said, code, all := verifyJSON(t, args...)
			if code != 0 || said.Verdict != "pass" {
				t.Fatalf("exit code %d: %s", code, all)
			}
			outcomes, reasons := map[string]int{}, map[string]int{}
			for _, session := range said.Sessions {
				if len(session.Steps) != 10 {
					t.Errorf("session %s has %d steps", session.ID, len(session.Steps))
				}
				for _, step := range session.Steps {
					outcomes[step.Outcome]++
					if step.Reason != "" {
						reasons[step.Reason]++
					}
					if step.Outcome == "late" && *step.Response <= *step.Timeout {
						t.Errorf("step %d is late after %v s of %v s", step.StepID, *step.Response, *step.Timeout)
					}
				}
			}
			if len(said.Sessions) != want.sessions || said.Connections != want.connections {
				t.Errorf("%d sessions and %d connections, want %d and %d",
					len(said.Sessions), said.Connections, want.sessions, want.connections)
			}
			if !maps.Equal(outcomes, want.outcomes) || len(reasons) != len(want.reasons) || !maps.Equal(reasons, or(want.reasons)) {
				t.Errorf("outcomes %v and reasons %v, want %v and %v", outcomes, reasons, want.outcomes, want.reasons)
			}
		})
	}
}

func or(m map[string]int) map[string]int {
	if m == nil {
		return map[string]int{}
	}
	return m
}

// TestEvidenceOfClients: each of the twenty clients has a record, which its session in the
// common capture supports.
func TestEvidenceOfClients(t *testing.T) {
	records, err := filepath.Glob(evidence + "clients/*.jsonl")
	if err != nil || len(records) != 20 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	for _, record := range records {
		if _, code, all := verifyJSON(t, evidence+"clients.pcap", "--record", record); code != 0 {
			t.Errorf("%s: exit code %d: %s", record, code, all)
		}
	}
}

// TestEvidenceTampered: verify detects changes to a copy of a capture.
func TestEvidenceTampered(t *testing.T) {
	for name, change := range map[string]struct {
		capture string
		edit    func(t *testing.T, file []byte) []byte
	}{
		"a code of a pass":                 {"success.pcapng", swap(`"step_id":4,"error_code":0`, `"step_id":4,"error_code":1`)},
		"a code of a refusal":              {"failure.pcapng", swap(`"step_id":100,"error_code":1`, `"step_id":100,"error_code":0`)},
		"a reason":                         {"failure.pcapng", swap(`"timeout_too_short"`, `"out_of_order",     `[:19])},
		"a step id":                        {"success.pcapng", swap(`{"step_id":7,"error`, `{"step_id":8,"error`)},
		"a declared timeout":               {"failure.pcapng", swap(`"timeout":0.01`, `"timeout":9.01`)},
		"a reply removed":                  {"success.pcapng", withoutPacket(`"step_id":5,"error_code"`)},
		"a request removed":                {"success.pcapng", withoutPacket(`"step_id":5,"timeout"`)},
		"a reply instead of a timeout":     {"timeout.pcapng", swap(`"step_id":4,"timeout":5,`, `"step_id":5,"timeout":5,`)},
		"a reply moved behind its timeout": {"success.pcapng", later(`"step_id":10,"error_code"`, 60)},
		"a late reply moved to be in time": {"timeout.pcapng", later(`"step_id":6,"error_code"`, -2)},
		"a request moved, an interval cut": {"success.pcapng", later(`"step_id":3,"timeout"`, -0.4)},
	} {
		t.Run(name, func(t *testing.T) {
			file, err := os.ReadFile(evidence + change.capture)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), change.capture)
			if err := os.WriteFile(path, change.edit(t, file), 0o600); err != nil {
				t.Fatal(err)
			}
			record := evidence + strings.TrimSuffix(change.capture, ".pcapng") + ".jsonl"
			if _, code, all := verifyJSON(t, path, "--record", record); code == 0 {
				t.Errorf("the change is not noticed: %s", all)
			}
		})
	}
}

// swap returns an edit that puts other bytes of the same length for the first
// occurrence.
func swap(old, with string) func(*testing.T, []byte) []byte {
	return func(t *testing.T, file []byte) []byte {
		t.Helper()
		if len(old) != len(with) || !bytes.Contains(file, []byte(old)) {
			t.Fatalf("cannot put %q for %q", with, old)
		}
		return bytes.Replace(file, []byte(old), []byte(with), 1)
	}
}

// Of pcapng, draft-ietf-opsawg-pcapng: the type of a block with a packet, and where in it the
// halves of the time are.
const (
	packetBlock = 6
	timeHigh    = 12
	timeLow     = 16
)

// blocks cuts a little-endian pcapng file up.
func blocks(t *testing.T, file []byte) (all [][]byte) {
	t.Helper()
	for len(file) >= 12 {
		n := binary.LittleEndian.Uint32(file[4:])
		if n < 12 || int(n) > len(file) {
			t.Fatalf("a block of %d bytes with %d left", n, len(file))
		}
		all, file = append(all, file[:n]), file[n:]
	}
	return all
}

func withoutPacket(text string) func(*testing.T, []byte) []byte {
	return func(t *testing.T, file []byte) []byte {
		t.Helper()
		var rest []byte
		removed := 0
		for _, block := range blocks(t, file) {
			if binary.LittleEndian.Uint32(block) == packetBlock && bytes.Contains(block, []byte(text)) {
				removed++
				continue
			}
			rest = append(rest, block...)
		}
		if removed != 1 {
			t.Fatalf("%d packets with %s", removed, text)
		}
		return rest
	}
}

// later returns an edit that moves a packet in time, where the file counts nanoseconds.
func later(text string, seconds float64) func(*testing.T, []byte) []byte {
	return func(t *testing.T, file []byte) []byte {
		t.Helper()
		moved := 0
		for _, block := range blocks(t, file) {
			if binary.LittleEndian.Uint32(block) != packetBlock || !bytes.Contains(block, []byte(text)) {
				continue
			}
			at := uint64(binary.LittleEndian.Uint32(block[timeHigh:]))<<32 | uint64(binary.LittleEndian.Uint32(block[timeLow:]))
			at = uint64(int64(at) + int64(seconds*1e9))
			binary.LittleEndian.PutUint32(block[timeHigh:], uint32(at>>32))
			binary.LittleEndian.PutUint32(block[timeLow:], uint32(at))
			moved++
		}
		if moved != 1 {
			t.Fatalf("%d packets with %s", moved, text)
		}
		return file
	}
}
