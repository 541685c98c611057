package systemd

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// shown is what systemctl 252 prints of the packaged unit with some drop-ins.
const shown = `Id=stepagent.service
LoadState=loaded
Environment="GREETING=hello there" STEPAGENT_CONFIG=/etc/old.toml STEPAGENT_CONFIG=/etc/stepagent/stepagent.toml
User=stepagent
Group=stepagent
SupplementaryGroups=dialout video
RootDirectory=
RootImage=
ProtectHome=yes
PrivateTmp=yes
InaccessiblePaths=-/srv/secret "/srv/with space"
TemporaryFileSystem=/mnt:ro
NoExecPaths=/var
ExecPaths=/var/lib/stepagent
BindPaths=
BindReadOnlyPaths=/home/bench/plugins:/home/bench/plugins:rbind
`

func TestParseUnit(t *testing.T) {
	t.Parallel()
	u := parseUnit([]byte(shown))
	got := []any{u.Name, u.User, u.Group, u.Groups, u.Root, u.Variable("STEPAGENT_CONFIG"), u.Variable("GREETING"), u.Variable("X")}
	want := []any{"stepagent.service", "stepagent", "stepagent", []string{"dialout", "video"}, "", "/etc/stepagent/stepagent.toml",
		"hello there", ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, test := range []struct {
		path            string
		seen, executing string
	}{
		{"/usr/local/lib/stepagent/torque", "", ""},
		{"/root/torque", "ProtectHome=yes", "ProtectHome=yes"},
		{"/rooted/torque", "", ""},
		{"/home/bench/torque", "ProtectHome=yes", "ProtectHome=yes"},
		{"/home/bench/plugins/torque", "", ""},
		{"/tmp/torque", "PrivateTmp=yes", "PrivateTmp=yes"},
		{"/var/tmp/torque", "PrivateTmp=yes", "PrivateTmp=yes"},
		{"/var/opt/torque", "", "NoExecPaths=/var"},
		{"/var/lib/stepagent/torque", "", ""},
		{"/srv/secret/x", "InaccessiblePaths=/srv/secret", "InaccessiblePaths=/srv/secret"},
		{"/srv/with space", "InaccessiblePaths=/srv/with space", "InaccessiblePaths=/srv/with space"},
		{"/mnt/x", "TemporaryFileSystem=/mnt", "TemporaryFileSystem=/mnt"},
	} {
		if seen, executing := u.Hides(test.path, false), u.Hides(test.path, true); seen != test.seen || executing != test.executing {
			t.Errorf("%s: %q and %q, want %q and %q", test.path, seen, executing, test.seen, test.executing)
		}
	}
	if u := parseUnit([]byte("Id=none.service\nLoadState=not-found\n")); u != nil {
		t.Errorf("a unit that is not there: %+v", u)
	}
}
