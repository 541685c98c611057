package main

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stepagent/stepagent/agent/internal/testkit/capturetest"
)

// cmdCapture writes a capture of a conversation that is written down, see capturetest.Script:
// capture FILE SCRIPT [option]... where an option is pcap, gzip, a link such as sll2, cut=N to leave
// out the last N bytes, or keylog=FILE to write the secrets of connections over TLS.
func cmdCapture(ts *testscript.TestScript, _ bool, args []string) {
	var secrets bytes.Buffer
	packets, err := capturetest.Script(ts.ReadFile(args[1]), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), &secrets)
	ts.Check(err)
	file, cut := capturetest.File{}, 0
	for _, option := range args[2:] {
		if path, ok := strings.CutPrefix(option, "keylog="); ok {
			ts.Check(os.WriteFile(ts.MkAbs(path), secrets.Bytes(), 0o600))
			continue
		}
		switch n, err := strconv.Atoi(option[min(len("cut="), len(option)):]); {
		case option == "pcap":
			file.Pcap = true
		case option == "gzip":
			file.Gzip = true
		case err == nil:
			cut = n
		default:
			file.Link = capturetest.Link(option)
		}
	}
	written := file.Write(packets)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), written[:len(written)-cut], 0o600))
}
