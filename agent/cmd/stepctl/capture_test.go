package main

import (
	"os"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stepagent/stepagent/agent/internal/testkit/capturetest"
)

// cmdCapture writes a capture of a conversation that is written down, see capturetest.Script:
// capture FILE SCRIPT [option]... where an option is pcap, gzip, a link such as sll2, or cut=N
// to leave out the last N bytes.
func cmdCapture(ts *testscript.TestScript, _ bool, args []string) {
	packets, err := capturetest.Script(ts.ReadFile(args[1]), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	ts.Check(err)
	file, cut := capturetest.File{}, 0
	for _, option := range args[2:] {
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
