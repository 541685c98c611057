package server_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/server"
	"github.com/stepagent/stepagent/plugins/validator"
)

// performTLS is perform over TLS.
func performTLS(t *testing.T, fault validator.Fault) *peer {
	t.Helper()
	a := newAuthority(t)
	return begin(a.startTLS(t, server.TLS, a.options(false), io.Discard, faulty(fault)).dial(t))
}

// TestFaultsOverTLS: faults do over TLS what they do without.
func TestFaultsOverTLS(t *testing.T) {
	const second, third = `{"step_id":2,"error_code":0}`, `{"step_id":3,"error_code":0}`
	t.Run("withhold", func(t *testing.T) {
		p := performTLS(t, validator.Fault{Kind: validator.FaultWithhold})
		p.send(`{"step_id":3,"timeout":5}`)
		p.expect(third)
	})
	t.Run("delay", func(t *testing.T) {
		began := time.Now()
		p := performTLS(t, validator.Fault{Kind: validator.FaultDelay, Delay: 300 * time.Millisecond})
		p.send(`{"step_id":3,"timeout":5}`)
		p.expect(third)
		p.expect(second)
		if took := time.Since(began); took < 300*time.Millisecond {
			t.Errorf("the reply came after %v", took)
		}
	})
	t.Run("late", func(t *testing.T) {
		a := newAuthority(t)
		p := a.startTLS(t, server.TLS, a.options(false), io.Discard,
			faulty(validator.Fault{Kind: validator.FaultLate, Delay: 100 * time.Millisecond})).dial(t)
		began := time.Now()
		p.send(`{"step_id":1}{"step_id":2,"timeout":0.2}`)
		p.expect(`{"step_id":1,"error_code":0}`)
		p.expect(`{"step_id":2,`)
		if took := time.Since(began); took < 300*time.Millisecond {
			t.Errorf("the reply came after %v, before the timeout and the delay", took)
		}
	})
	t.Run("split", func(t *testing.T) {
		p := performTLS(t, validator.Fault{Kind: validator.FaultSplit, Delay: 50 * time.Millisecond})
		half := make([]byte, 256)
		n, err := p.Read(half)
		if err != nil || n == 0 || half[n-1] == '\n' {
			t.Fatalf("the first record is %q, %v; want half a reply", half[:n], err)
		}
		if got := string(half[:n]) + p.receive(); got != second {
			t.Errorf("both halves are %s", got)
		}
	})
	t.Run("duplicate", func(t *testing.T) {
		p := performTLS(t, validator.Fault{Kind: validator.FaultDuplicate})
		p.expect(second)
		p.expect(second)
	})
	t.Run("reset", func(t *testing.T) {
		p := performTLS(t, validator.Fault{Kind: validator.FaultReset})
		if _, err := p.lines.ReadByte(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v, want a reset", err)
		}
	})
}

// TestReplyNotTakenOverTLS: a client with TLS that never reads is dropped without effect on others. The
// socket is no TCP socket, so that no bytes are on their way for long where a buffer is full.
func TestReplyNotTakenOverTLS(t *testing.T) {
	a := newAuthority(t)
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	o := a.options(false)
	o.ReplyTime = 500 * time.Millisecond
	var log lockedBuffer
	h := a.startTLSOn(t, small{listener}, server.TLS, o, &log)
	dial := func() *peer {
		conn, err := net.Dial("unix", h.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return newPeer(t, tls.Client(conn, h.client))
	}
	deaf, honest := dial(), dial()
	deaf.send(`{"step_id":1,"session":"0"}`)
	honest.send(`{"step_id":1,"session":"1"}`)
	honest.expect(`"error_code":0`)
	go func() {
		for {
			if _, err := io.WriteString(deaf, `{"step_id":99,"session":"0"}`); err != nil {
				return
			}
		}
	}()
	waitFor(t, "the deaf client to be gone", func() bool { return h.Stats().Open == 1 })
	if !strings.Contains(log.String(), "reply not taken") {
		t.Errorf("no line says so:\n%s", log.String())
	}
	honest.send(`{"step_id":2,"session":"1"}`)
	honest.expect(`{"step_id":2,"error_code":0`)
}

// TestRepliesAfterPauses: a deadline that has passed between two replies costs a connection with TLS
// nothing.
func TestRepliesAfterPauses(t *testing.T) {
	a := newAuthority(t)
	o := a.options(false)
	o.ReplyTime = 200 * time.Millisecond
	p := a.startTLS(t, server.Either, o, io.Discard).dial(t)
	for step := 1; step <= 4; step++ {
		p.send(fmt.Sprintf(`{"step_id":%d}`, step))
		p.expect(fmt.Sprintf(`{"step_id":%d,"error_code":0}`, step))
		time.Sleep(o.ReplyTime + 50*time.Millisecond)
	}
}
