package auditlog

import "testing"

func TestSessionName(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"bench-7": "bench-7", "": "", "192.0.2.7:4711#3": "192.0.2.7:4711#3", "a@b c": "a@b c",
		"bench-7" + IdentityMark + "spiffe://bench.example/station/7": "bench-7",
		"bench-7" + IdentityMark + "a" + AddressMark + "b":            "bench-7",
		"bench-7" + AddressMark + "192.0.2.7":                         "bench-7",
		IdentityMark + "ada":                                          "",
	} {
		if got := SessionName(id); got != want {
			t.Errorf("%q has the name %q, want %q", id, got, want)
		}
	}
}
