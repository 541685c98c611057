package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The settings of NATS come from all places, and no message shows a password.
func TestClientNATS(t *testing.T) {
	client, _, err := loadClient(t, ".toml", "nats_url = \"nats://a:4222, tls://b\"\nnats_user = \"lab\"\nfleet = \"lab-1\"",
		[]string{"STEPCTL_NATS_CA=ca.pem"}, map[string]string{"nats_password": "${file:/etc/lab}"})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(client.NATSServers(), []string{"nats://a:4222", "tls://b"}) || client.NATSUser != "lab" || client.NATSCA != "ca.pem" ||
		client.NATSPassword != "${file:/etc/lab}" || client.Fleet != "lab-1" {
		t.Errorf("%+v", client)
	}
	for variable, want := range map[string]string{
		"STEPCTL_NATS_URL=a:4222":          "an address begins with nats://",
		"STEPCTL_NATS_URL=nats://a,":       "an address begins with nats://",
		"STEPCTL_NATS_URL=nats://a/x":      "has more than a host and a port",
		"STEPCTL_NATS_URL=nats://u:s3cr@a": "write the user under the key nats_user",
		"STEPCTL_NATS_PASSWORD=s3cr":       "write ${file:/PATH} or ${env:NAME}",
		"STEPCTL_FLEET=a.b":                `"a.b" cannot be part of a subject`,
	} {
		_, _, err := loadClient(t, "", "", []string{variable}, nil)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cr") {
			t.Errorf("%s: error %v, want %s", variable, err, want)
		}
	}
}

func TestNATSSecret(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("s3cret\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("STEPCTL_TEST_SECRET", "s3cret")
	for reference, want := range map[string]string{"": "", "${file:" + file + "}": "s3cret", "${env:STEPCTL_TEST_SECRET}": "s3cret"} {
		if got, err := (Client{NATSPassword: reference}).NATSSecret(); got != want || err != nil {
			t.Errorf("%s is %q, error %v", reference, got, err)
		}
	}
	for reference, want := range map[string]string{
		"${file:" + file + "x}": "there is no file", "${env:STEPCTL_TEST_NONE}": "there is no variable", "${word:x}": "is no reference",
	} {
		_, err := (Client{NATSPassword: reference}).NATSSecret()
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "nats_password: ") {
			t.Errorf("%s: error %v", reference, err)
		}
	}
}
