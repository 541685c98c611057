package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore/natsstore"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/testkit/natstest"
)

// sharing is the config of an agent that keeps its sessions in NATS and withholds the reply to a step.
const sharing = `allow_faults = true
nats.url = [%q]
[session]
steps = 4
store = "nats"
[[validators]]
name = "sequence"
settings = { last = 4 }
[[validators]]
name = "faults"
[[validators.settings.plan]]
step_id = %d
fault = "withhold"
`

// TestRunGoesOnWithTheSharedSession: two of three agents that share their sessions are killed in turn, each while
// a step waits for its reply. The run passes, and each step counts once.
func TestRunGoesOnWithTheSharedSession(t *testing.T) {
	t.Parallel()
	node := natstest.Server(t)
	folder := t.TempDir()
	var hosts []string
	var agents []*os.Process
	for i, withheld := range []int{2, 3, 99} {
		file := filepath.Join(folder, fmt.Sprintf("agent%d.toml", i))
		if err := os.WriteFile(file, fmt.Appendf(nil, sharing, node.URL, withheld), 0o600); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			loaded, err := config.Load(config.Sources{File: file})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := daemon.CreateBucket(t.Context(), loaded, natsstore.CreateOptions{Replicas: 1, TTL: time.Hour}); err != nil {
				t.Fatal(err)
			}
		}
		port, process, stop, err := newAgentProcess(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stop)
		hosts, agents = append(hosts, "127.0.0.1:"+port), append(agents, process)
	}
	steps, record := filepath.Join(folder, "steps.json"), filepath.Join(folder, "run.jsonl")
	const procedure = `{"test_services": [{"step_id": 1, "timeout": 60}, {"step_id": 2, "timeout": 60}, {"step_id": 3, "timeout": 60}, {"step_id": 4, "timeout": 60}]}`
	if err := os.WriteFile(steps, []byte(procedure), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.Command("stepctl", "run", steps, "--host", strings.Join(hosts, ","), "--record", record)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for i, agent := range agents[:2] {
		if err := awaitLine(record, fmt.Sprintf(`"event":"sent",.*"index":%d,`, i+2)); err != nil {
			t.Fatal(err)
		}
		if err := agent.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
	want := fmt.Sprintf("went on at %s from step 2 and at %s from step 3\n", hosts[1], hosts[2])
	if !strings.Contains(out.String(), "pass: all 4 steps ") || !strings.HasSuffix(out.String(), want) {
		t.Errorf("the output is\n%s", out.String())
	}
}
