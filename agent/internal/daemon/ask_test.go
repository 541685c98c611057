package daemon_test

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/daemon"
)

// TestAskAnAgentThatIsSlow: it is there, and who asks is not told otherwise.
func TestAskAnAgentThatIsSlow(t *testing.T) {
	o, _ := options(t, "port = 1\n")
	socket := filepath.Join(o.RuntimeDir, "slow.sock")
	listener, err := net.Listen("unix", socket) // takes connections, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = daemon.AskReload(ctx, socket)
	if err == nil || !strings.Contains(err.Error(), "slow.sock has not answered within 0s; a reload may still be under way") {
		t.Errorf("error %v", err)
	}
}
