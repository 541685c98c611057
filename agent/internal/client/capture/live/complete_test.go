package live

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/capture"
	"github.com/stepagent/stepagent/agent/internal/testkit/capturetest"
)

// taken captures the packets that keep lets through, each on the interface that it says, and
// returns the error of Close and the capture.
func taken(t *testing.T, dropped uint64, packets []capturetest.Packet, faces func(i int, p capturetest.Packet) []int, connected bool) (*capture.Capture, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run.pcapng")
	var err error
	synctest.Test(t, func(t *testing.T) {
		s := newASource()
		s.dropped = dropped
		l := startLive(t, path, s)
		if connected {
			made(l, 40000, uint64(len("first")))
		} else {
			l.addFlow(40000)
		}
		for i, p := range packets {
			for _, face := range faces(i, p) {
				s.pass(p, face)
			}
		}
		synctest.Wait()
		err = l.Close("verdict: pass")
	})
	c, readErr := capture.ReadFile(t.Context(), path, capture.Options{})
	if readErr != nil {
		t.Fatal(readErr)
	}
	return c, err
}

// A capture that lacks any of what passed is told: all, one side, or single bytes.
func TestIncompleteIsReported(t *testing.T) {
	fromAgent := func(p capturetest.Packet) bool { return p.From == liveAgent }
	for name, test := range map[string]struct {
		drop func(i int, p capturetest.Packet) bool
		want string
	}{
		"nothing missing":  {func(int, capturetest.Packet) bool { return false }, ""},
		"all missing":      {func(int, capturetest.Packet) bool { return true }, "it has no packet of 1 of 1 connections"},
		"the agent's side": {func(_ int, p capturetest.Packet) bool { return fromAgent(p) }, "it has no packet that the agent sent on 1 of 1 connections"},
		"the client's side": {func(_ int, p capturetest.Packet) bool { return !fromAgent(p) },
			"it has no packet that stepctl sent on 1 of 1 connections"},
		"the request":           {func(_ int, p capturetest.Packet) bool { return !fromAgent(p) && len(p.Payload) > 0 }, "bytes of 1 of 1 connections are not in it"},
		"the reply":             {func(_ int, p capturetest.Packet) bool { return fromAgent(p) && len(p.Payload) > 0 }, "bytes of 1 of 1 connections are not in it"},
		"the start":             {func(i int, _ capturetest.Packet) bool { return i < 3 }, "bytes of 1 of 1 connections are not in it"},
		"all but the start":     {func(i int, _ capturetest.Packet) bool { return i >= 3 }, "bytes of 1 of 1 connections are not in it"},
		"all from the reply on": {func(i int, _ capturetest.Packet) bool { return i >= 5 }, "bytes of 1 of 1 connections are not in it"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := taken(t, 0, liveTalk(), func(i int, p capturetest.Packet) []int {
				if test.drop(i, p) {
					return nil
				}
				return []int{2}
			}, true)
			if (err != nil) != (test.want != "") || err != nil && (!strings.Contains(err.Error(), "run.pcapng is not whole: "+test.want) ||
				!strings.HasSuffix(err.Error(), "such as on the agent's machine")) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// Attempts to connect that came to nothing are all that there was.
func TestAttemptsOnly(t *testing.T) {
	c, err := taken(t, 0, liveTalk()[:1], func(int, capturetest.Packet) []int { return []int{2} }, false)
	if err != nil || c.Packets != 1 {
		t.Errorf("%d packets, error %v", c.Packets, err)
	}
}

// Close waits for the packets of a connection of which none has been read yet.
func TestLingerForTheFirstPacket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newASource()
		l := startLive(t, filepath.Join(t.TempDir(), "run.pcapng"), s)
		made(l, 40000, uint64(len("first")))
		go func() {
			time.Sleep(100 * time.Millisecond)
			for _, p := range liveTalk() {
				s.pass(p, 2)
			}
		}()
		began := time.Now()
		if err := l.Close(""); err != nil || time.Since(began) != 100*time.Millisecond {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

// What the kernel dropped is told.
func TestDropsAreReported(t *testing.T) {
	c, err := taken(t, 7, liveTalk(), func(int, capturetest.Packet) []int { return []int{2} }, true)
	if err == nil || !strings.Contains(err.Error(), "the kernel dropped 7 packets") || c.Dropped == nil || *c.Dropped != 7 {
		t.Errorf("dropped %d, error %v", c.Dropped, err)
	}
}

// Packets that come and go on several interfaces are one capture, and one that is seen on a
// bridge and on its port is in it once.
func TestSeveralInterfaces(t *testing.T) {
	for name, faces := range map[string]func(int, capturetest.Packet) []int{
		"one a side": func(_ int, p capturetest.Packet) []int {
			if p.From == liveAgent {
				return []int{3}
			}
			return []int{2}
		},
		"one after the other": func(i int, _ capturetest.Packet) []int { return []int{2 + i%3} },
		"a bridge and its port": func(_ int, p capturetest.Packet) []int {
			if p.From == liveAgent {
				return []int{2, 3}
			}
			return []int{3, 2}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := taken(t, 0, liveTalk(), faces, true)
			if err != nil {
				t.Fatal(err)
			}
			if c.Packets != len(liveTalk()) || len(c.Conns) != 1 || len(c.Links) != 1 || c.Links[0] != "Linux cooked v2" {
				t.Errorf("%d packets of %d, %d connections, links %q", c.Packets, len(liveTalk()), len(c.Conns), c.Links)
			}
		})
	}
	// A packet that is sent again later is another one.
	l := liveTalk()
	again := l[3]
	again.Time = again.Time.Add(2 * stackTime)
	c, err := taken(t, 0, append(l[:4:4], append([]capturetest.Packet{again}, l[4:]...)...), func(i int, _ capturetest.Packet) []int { return []int{2 + i%2} }, true)
	if err != nil || c.Packets != len(l)+1 {
		t.Errorf("%d packets, error %v", c.Packets, err)
	}
}

// TestSideFindsMissingBytes: in whatever order and pieces bytes go by, the account says exactly whether
// one is missing.
func TestSideFindsMissingBytes(t *testing.T) {
	for range 2000 {
		first := rand.Uint32()
		s := side{known: true, first: first, next: first}
		size := 1 + rand.IntN(60)
		got := make([]bool, size)
		for range 1 + rand.IntN(30) {
			from := rand.IntN(size)
			to := from + rand.IntN(size-from+1)
			s.add(seqRange{first + uint32(from), first + uint32(to)})
			for i := from; i < to; i++ {
				got[i] = true
			}
		}
		missing := false
		for received := range size {
			missing = missing || !got[received]
			if s.lacks(uint64(received+1)) != missing {
				t.Fatalf("of %v the account is %+v: after %d bytes it says %t", got, s, received+1, !missing)
			}
		}
	}
}

// TestFileChangedMeanwhile: a capture that is removed or changed while it is written is told.
func TestFileChangedMeanwhile(t *testing.T) {
	for want, harm := range map[string]func(path string) error{
		"was removed, renamed or replaced by another program": os.Remove,
		"was changed by another program":                      func(path string) error { return os.Truncate(path, 0) },
	} {
		path := filepath.Join(t.TempDir(), "run.pcapng")
		l := startLive(t, path, newASource())
		if err := harm(path); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(""); err == nil || !strings.HasPrefix(err.Error(), "the capture is not whole: "+path+" "+want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}
