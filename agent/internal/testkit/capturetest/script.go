package capturetest

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"
)

// Script returns the packets of a script with one action a line, after its time from the start:
//
//	0s    open             the client opens a new connection
//	0s    open tls         and speaks TLS over it
//	1ms   > {"step_id":1}  the client sends
//	2ms   < {"step_id":1}  the agent sends
//	3ms   close            the client closes the connection
//	3ms   reset            the agent resets it
//
// Empty lines and lines that begin with # are ignored. The secrets of TLS are written to keyLog.
func Script(text string, began time.Time, keyLog io.Writer) ([]Packet, error) {
	agent := netip.MustParseAddrPort("192.0.2.2:8080")
	var talks []*Talk
	for number, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		when, what, _ := strings.Cut(line, " ")
		at, err := time.ParseDuration(when)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number+1, err)
		}
		what = strings.TrimSpace(what)
		if what == "open" || what == "open tls" {
			client := netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(40000+len(talks)))
			t := NewTalk(client, agent, began, 1000, 2000)
			if what == "open tls" {
				if t.TLS, err = NewTLS(TLSConfigs(keyLog)); err != nil {
					return nil, fmt.Errorf("line %d: %w", number+1, err)
				}
			}
			t.Open(at)
			talks = append(talks, t)
			continue
		}
		if len(talks) == 0 {
			return nil, fmt.Errorf("line %d: no connection is open", number+1)
		}
		t := talks[len(talks)-1]
		switch act, said, _ := strings.Cut(what, " "); act {
		case ">":
			t.Ask(at, said+"\n")
		case "<":
			t.Reply(at, said+"\n")
		case "close":
			t.Close(at, t.Client)
		case "reset":
			t.Reset(at, t.Agent)
		default:
			return nil, fmt.Errorf("line %d: unknown action %q", number+1, act)
		}
	}
	return Merge(talks...), nil
}
