package verify_test

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/verify"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
)

// evidence is the folder of the captures that were taken with the packaged commands.
const evidence = "../../../../pcap/"

// A file is a capture file, cut into what comes before its packets, the packets, and what
// comes behind them.
type file struct {
	name       string
	head, tail []byte
	packets    [][]byte
}

// readEvidence cuts a little-endian file up, pcap-savefile(5) or draft-ietf-opsawg-pcapng.
func readEvidence(t *testing.T, path string) *file {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f := &file{name: filepath.Base(path)}
	if strings.HasSuffix(path, ".pcap") {
		const header, record = 24, 16
		f.head, data = data[:header], data[header:]
		for len(data) > 0 {
			n := record + int(binary.LittleEndian.Uint32(data[8:]))
			f.packets, data = append(f.packets, data[:n]), data[n:]
		}
		return f
	}
	const packetBlock = 6
	for len(data) > 0 {
		n := binary.LittleEndian.Uint32(data[4:])
		switch block := data[:n]; {
		case binary.LittleEndian.Uint32(block) == packetBlock:
			f.packets = append(f.packets, block)
		case len(f.packets) == 0:
			f.head = append(f.head, block...)
		default:
			f.tail = append(f.tail, block...)
		}
		data = data[n:]
	}
	return f
}

// with returns the file with other packets.
func (f *file) with(packets [][]byte) []byte {
	return slices.Concat(f.head, slices.Concat(packets...), f.tail)
}

// TestLawOnEvidence: the law holds of captures that were taken, too, with all that is said of
// them. STEPAGENT_LAW_CAPTURES is a pattern of other captures.
func TestLawOnEvidence(t *testing.T) {
	variants, seed := soaktest.Repetitions(t, 2500, 25), lawSeed(t)
	paths, err := filepath.Glob(cmp.Or(os.Getenv("STEPAGENT_LAW_CAPTURES"), evidence+"*.pcap*"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%v, %v", paths, err)
	}
	opts := rules(t)
	for _, path := range paths {
		f := readEvidence(t, path)
		opts := withKeys(t, opts, keysOf(t, path))
		said := opts
		said.Claims = verify.NameClaims(path)
		if p, err := stepfile.Builtin(strings.TrimSuffix(f.name, filepath.Ext(f.name))); err == nil {
			said.Procedure = &p
		}
		log, err := record.ReadFile(strings.TrimSuffix(path, filepath.Ext(path)) + ".jsonl")
		if err == nil {
			said.Record = &log
		}
		whole := judgeFile(t, f.with(f.packets), said)
		if whole.Verdict == result.Fail {
			t.Fatalf("%s is not sound:\n%s", path, text(t, whole))
		}
		truth := shownBy(whole)
		for i := range variants {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			packets := f.packets
			for range 1 + r.IntN(3) {
				packets = loseAny(r, packets)
			}
			how := opts
			if r.IntN(2) == 0 {
				how = said
			}
			got := judgeFile(t, f.with(packets), how)
			checkShown(t, got, truth, len(truth))
			if t.Failed() {
				t.Fatalf("variant %d of seed %d of %s:\n%s", i, seed, f.name, text(t, got))
			}
		}
	}
}

// keysOf returns the key log beside a capture; nil for none.
func keysOf(t *testing.T, path string) *bytes.Buffer {
	t.Helper()
	keys, err := os.ReadFile(strings.TrimSuffix(path, filepath.Ext(path)) + ".keys")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewBuffer(keys)
}

// shownBy returns what became of each request, by its session and its text.
func shownBy(r *result.Report) map[string]result.Outcome {
	all := map[string]result.Outcome{}
	for _, s := range r.Sessions {
		for _, step := range s.Steps {
			was := step.Outcome
			if step.Verdict == result.Inconclusive {
				was = result.Late // the client may have waited in vain
			}
			all[step.Request.Text+" of "+s.Client.Addr().String()] = was
		}
	}
	return all
}

// checkShown is checkLaw where the requests of all clients differ.
func checkShown(t *testing.T, got *result.Report, truth map[string]result.Outcome, size int) {
	t.Helper()
	sizes := map[string]int{}
	known := map[string]result.Outcome{}
	for _, s := range got.Sessions {
		host := s.Client.Addr().String()
		sizes[host] = size
		for _, step := range s.Steps {
			if was, ok := truth[step.Request.Text+" of "+host]; ok {
				known[host+step.Request.Text] = was
			}
		}
	}
	if size > 10 { // several clients of one host: whole sessions of them may pass
		for host := range sizes {
			n := 0
			for _, s := range got.Sessions {
				n += len(s.Steps)
				if got.Verdict == result.Pass && len(s.Steps) != 10 {
					t.Errorf("%d steps are a pass", len(s.Steps))
				}
			}
			sizes[host] = n
		}
	}
	checkLaw(t, got, known, sizes)
}

// loseAny does to the packets of a file what a capture may do.
func loseAny(r *rand.Rand, packets [][]byte) [][]byte {
	n := len(packets)
	if n < 2 {
		return packets
	}
	from := r.IntN(n)
	to := from + 1 + r.IntN(n-from)
	switch r.IntN(5) {
	case 0:
		percent := []int{2, 10, 30, 60}[r.IntN(4)]
		var rest [][]byte
		for _, p := range packets {
			if r.IntN(100) >= percent {
				rest = append(rest, p)
			}
		}
		return rest
	case 1:
		return packets[from:to]
	case 2:
		return packets[:to]
	case 3:
		return slices.Concat(packets[:from], packets[to:])
	default:
		out := slices.Clone(packets)
		for range 1 + r.IntN(8) {
			i := r.IntN(n - 1)
			out[i], out[i+1] = out[i+1], out[i]
		}
		return out
	}
}
