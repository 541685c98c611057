package main

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stepagent/stepagent/agent/internal/agent/api"
	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
)

// scriptSocket returns the admin socket of the agent on $PORT.
func scriptSocket(ts *testscript.TestScript) string {
	return filepath.Join(ts.Getenv("RUNTIME_DIRECTORY"), "admin-"+ts.Getenv("PORT")+".sock")
}

func cmdHTTP(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: http METHOD PATH [HEADER...]")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	status, err := daemon.Query[api.Status](ctx, scriptSocket(ts), daemon.StatusRequest)
	ts.Check(err)
	r, err := http.NewRequestWithContext(ctx, args[0], "http://"+status.HTTP.Address+args[1], nil)
	ts.Check(err)
	for _, header := range args[2:] {
		name, value, _ := strings.Cut(header, ": ")
		if name == "Host" {
			r.Host = value
		}
		r.Header.Set(name, value)
	}
	reply, err := http.DefaultTransport.RoundTrip(r)
	ts.Check(err)
	defer func() { _ = reply.Body.Close() }()
	ts.Check(reply.Write(ts.Stdout()))
}

func cmdToken(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: token FILE")
	}
	ts.Setenv("TOKEN", strings.TrimSpace(ts.ReadFile(args[0])))
}
