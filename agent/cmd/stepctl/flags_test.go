package main

import (
	"strings"
	"testing"
	"time"
)

func TestAddress(t *testing.T) {
	good := map[string]string{
		"localhost": "localhost:8080", "bench-7.lab": "bench-7.lab:8080", "under_score": "under_score:8080",
		"10.0.0.7": "10.0.0.7:8080", "::1": "[::1]:8080", "[fe80::1%eth0]": "[fe80::1%eth0]:8080", "fe80::1%eth0": "[fe80::1%eth0]:8080",
		"보드": "보드:8080",
	}
	for host, want := range good {
		if got, err := address(host, 8080); err != nil || got != want {
			t.Errorf("address(%q) = %q, %v, want %q", host, got, err, want)
		}
	}
	bad := map[string]string{
		"": "is empty", "a b": "neither", "a\n": "neither", "[::1": "neither", "::1]": "neither", "[bench]": "neither",
		"bench:80": "holds a port; write --host bench --port 80", "1:2:3": "neither", "[::1]:80": "neither",
		"tcp://bench": "no host", "bench/": "no host", "10.0.0.0/8": "no host", "fe80::1%": "neither",
		"fe80::1": "link-local address; name the interface too, such as fe80::1%eth0", "[fe80::1]": "link-local",
	}
	for host, want := range bad {
		if got, err := address(host, 8080); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("address(%q) = %q, %v, want an error with %q", host, got, err, want)
		}
	}
}

func TestSecondsFlag(t *testing.T) {
	good := map[string]time.Duration{
		"5": 5 * time.Second, "0.01": 10 * time.Millisecond, "1e-3": time.Millisecond, "3153600000": 876000 * time.Hour,
	}
	for text, want := range good {
		var f secondsFlag
		if err := f.Set(text); err != nil || time.Duration(f) != want {
			t.Errorf("%s gave %v, %v, want %v", text, time.Duration(f), err, want)
		}
	}
	for _, text := range []string{"", "0", "-1", "1e-12", "nan", "inf", "-inf", "1e300", "3153600001", "5s"} {
		var f secondsFlag
		if err := f.Set(text); err == nil || f != 0 {
			t.Errorf("%s gave %v, want an error", text, time.Duration(f))
		}
	}
}

func TestPortFlag(t *testing.T) {
	for text, want := range map[string]portFlag{"1": 1, "65535": 65535, "0080": 80} {
		var f portFlag
		if err := f.Set(text); err != nil || f != want {
			t.Errorf("%s gave %v, %v", text, f, err)
		}
	}
	for _, text := range []string{"", "0", "65536", "-1", "+1", "http", "8080 ", "0x50"} {
		var f portFlag
		if err := f.Set(text); err == nil || f != 0 {
			t.Errorf("%q gave %v, want an error", text, f)
		}
	}
}

func TestOptions(t *testing.T) {
	f := runFlags{host: "::1", port: 99, timeout: secondsFlag(3 * time.Second), session: "bench-7"}
	opts, err := f.options()
	if err != nil {
		t.Fatal(err)
	}
	if opts.Address != "[::1]:99" || opts.DialTimeout != 3*time.Second || opts.Session != "bench-7" || opts.Plain || opts.ClientVersion == "" {
		t.Errorf("the options are %+v", opts)
	}
}
