package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/api"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
	"github.com/stepagent/stepagent/agent/internal/shared/jsonl"
)

func TestStoreState(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 18, 30, 5, 0, time.Local)
	for _, tt := range []struct {
		status sessionstore.Status
		want   string
	}{
		{sessionstore.Status{Survives: "nothing"}, "off"},
		{sessionstore.Status{Survives: "restart", Dir: "/s", Bytes: 100}, "restart in /s, 0 sessions, 1 KiB, no commit yet"},
		{sessionstore.Status{Survives: "power_cut", Dir: "/s", Bytes: 4096, Sessions: 3, LastCommit: at, Restored: 2},
			"power_cut in /s, 3 sessions, 4 KiB, last commit 2026-11-22 18:30:05; restored at the start: 2"},
		{sessionstore.Status{Survives: "restart", Dir: "/s", LastCommit: at, Dropped: 4, DroppedWhy: "the machine was booted anew",
			Damaged: []string{"log-1.damaged", "log-2.newer"}, Trouble: "no space left on device; make room"},
			"NOT STORED: no space left on device; make room; restart in /s, 0 sessions, 0 KiB, last commit 2026-11-22 18:30:05; " +
				"restored at the start: 0, dropped: 4 (the machine was booted anew); set aside: log-1.damaged, log-2.newer"},
		{sessionstore.Status{Survives: "restart", Dir: "/s", Restored: 1, DroppedWhy: "log-1 is of a newer version of the agent",
			Damaged: []string{"log-1.newer"}},
			"restart in /s, 0 sessions, 0 KiB, no commit yet; restored at the start: 1, " +
				"dropped: number unknown (log-1 is of a newer version of the agent); set aside: log-1.newer"},
		{sessionstore.Status{Survives: "restart", Bucket: "b", Server: "connected to nats://a:4222", Replicas: 3, Bytes: 4096, Sessions: 2, LastCommit: at, Conflicts: 5},
			"bucket b of NATS with 3 replicas, 4 KiB; connected to nats://a:4222; 2 sessions of this agent, last commit 2026-11-22 18:30:05; " +
				"lost to other agents: 5 steps"},
		{sessionstore.Status{Survives: "restart", Bucket: "b", Server: "not connected yet", Trouble: "not connected yet", Warnings: []string{"it is in memory"}},
			"NOT STORED: not connected yet; bucket b of NATS with 0 replicas, 0 KiB; not connected yet; 0 sessions of this agent, no commit yet; " +
				"lost to other agents: 0 steps; WARNING: it is in memory"},
	} {
		if got := storeState(tt.status); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

// TestSessionTable: columns that no session needs are left out.
func TestSessionTable(t *testing.T) {
	t.Parallel()
	next := int64(3)
	plain := session.View{ID: "a", Client: "192.0.2.1:1", Began: time.Now(), Position: 2, Steps: 9, Outcomes: "pf", WaitsFor: session.WaitsForClient}
	known := session.View{ID: "b", Client: "192.0.2.1:2", Identity: "ada", Began: time.Now(), Steps: 9, Expects: &next, Restored: true,
		Idle: jsonl.Seconds(90 * time.Second)}
	for _, tt := range []struct {
		sessions []session.View
		want     string
	}{
		{[]session.View{plain}, "SESSION CLIENT OPEN FOR IDLE POSITION EXPECTS STEPS WAITS FOR\na 192.0.2.1:1 0s 0s 2/9 - pf client\n"},
		{[]session.View{plain, known}, "SESSION CLIENT IDENTITY OPEN FOR IDLE POSITION EXPECTS STEPS WAITS FOR RESTORED\n" +
			"a 192.0.2.1:1 - 0s 0s 2/9 - pf client no\nb 192.0.2.1:2 ada 0s 1m30s 0/9 3 yes\n"},
	} {
		var shown strings.Builder
		if err := printSessions(&shown, api.SessionList{Sessions: tt.sessions, Total: len(tt.sessions)}); err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for line := range strings.Lines(shown.String()) {
			got.WriteString(strings.Join(strings.Fields(line), " ") + "\n")
		}
		if got.String() != tt.want {
			t.Errorf("got\n%swant\n%s", got.String(), tt.want)
		}
	}
}
