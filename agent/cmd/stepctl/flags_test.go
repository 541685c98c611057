package main

import (
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

func TestPortFlag(t *testing.T) {
	for text, want := range map[string]uint16{"1": 1, "65535": 65535, "0080": 80} {
		var f verifyFlags
		if err := f.setPort(text); err != nil || f.port != want {
			t.Errorf("%s gave %v, %v", text, f.port, err)
		}
	}
	for _, text := range []string{"", "0", "65536", "-1", "+1", "http", "8080 ", "0x50"} {
		var f verifyFlags
		if err := f.setPort(text); err == nil || f.port != 0 {
			t.Errorf("%q gave %v, want an error", text, f.port)
		}
	}
}

func TestOptions(t *testing.T) {
	f := runFlags{settings: config.Client{Host: "::1", Port: 99, Timeout: 3}, session: "bench-7"}
	opts, err := f.options()
	if err != nil {
		t.Fatal(err)
	}
	if opts.Address != "[::1]:99" || opts.DialTimeout != 3*time.Second || opts.Session != "bench-7" || opts.Plain || opts.ClientVersion == "" {
		t.Errorf("the options are %+v", opts)
	}
}
