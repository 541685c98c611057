package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

// The settings of TLS come from all places. Paths are kept as they are written.
func TestClientTLS(t *testing.T) {
	client, _, err := loadClient(t, ".toml", "tls = true\nca = \"/etc/ca.pem\"\ncert = \"a.pem\"", []string{"STEPCTL_KEY=../a.key", "STEPCTL_CERT=b.pem"},
		map[string]string{"server_name": "board-3.lan", "keylog": "keys.log"})
	if err != nil {
		t.Fatal(err)
	}
	want := Client{TLS: true, CA: "/etc/ca.pem", Cert: "b.pem", Key: "../a.key", ServerName: "board-3.lan", KeyLog: "keys.log"}
	got := Client{TLS: client.TLS, CA: client.CA, Cert: client.Cert, Key: client.Key, ServerName: client.ServerName, KeyLog: client.KeyLog}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for variable, wants := range map[string]string{
		"STEPCTL_TLS=yes":                 `STEPCTL_TLS: want true or false, got "yes"`,
		"STEPCTL_CA=a\x1b":                `STEPCTL_CA: "a\x1b" has unprintable characters; take them out`,
		"STEPCTL_SERVER_NAME=board:1":     `STEPCTL_SERVER_NAME: "board:1" is no host name and no address; write one such as "board-3.lan"`,
		"STEPCTL_SERVER_NAME=https://b.c": `STEPCTL_SERVER_NAME: "https://b.c" is no host name and no address; write one such as "board-3.lan"`,
	} {
		if _, _, err := loadClient(t, "", "", []string{variable}, nil); err == nil || err.Error() != wants {
			t.Errorf("%s: error %v, want %s", variable, err, wants)
		}
	}
	for _, name := range []string{"", "192.0.2.7", "2001:db8::7", "board_3"} {
		if _, _, err := loadClient(t, "", "", nil, map[string]string{"server_name": name}); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// A flag of a key that is true or false needs no value.
func TestSwitch(t *testing.T) {
	for argument, want := range map[string]string{"--tls": "true", "--tls=true": "true", "--tls=false": "false"} {
		set := pflag.NewFlagSet("", pflag.ContinueOnError)
		ClientFlags().Add(set, "tls", "ca")
		if err := set.Parse([]string{argument, "--ca", "x"}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]string{"tls": want, "ca": "x"}, ClientFlags().Set(set)); diff != "" {
			t.Errorf("%s: %s", argument, diff)
		}
	}
}
