package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
)

// The agent's address, unless it is said otherwise.
const (
	defaultHost = "localhost"
	defaultPort = 8080
)

// A portFlag is a TCP port that can be connected to.
type portFlag uint16

func (p *portFlag) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return errors.New("a port is a number from 1 to 65535")
	}
	*p = portFlag(n)
	return nil
}

func (p *portFlag) String() string { return strconv.Itoa(int(*p)) }
func (p *portFlag) Type() string   { return "PORT" }

// A secondsFlag is a length of time in seconds, fractions allowed.
type secondsFlag time.Duration

func (s *secondsFlag) Set(text string) error {
	seconds, err := strconv.ParseFloat(text, 64)
	wait := time.Duration(seconds * float64(time.Second))
	if err != nil || !(seconds <= stepfile.MaxWait.Seconds()) || wait <= 0 {
		return errors.New("write a number of seconds above 0, such as 5 or 0.5")
	}
	*s = secondsFlag(wait)
	return nil
}

func (s *secondsFlag) String() string {
	return strconv.FormatFloat(time.Duration(*s).Seconds(), 'g', -1, 64)
}

func (s *secondsFlag) Type() string { return "SECONDS" }

// maxCount is the highest number that a countFlag takes.
const maxCount = 1_000_000

// A countFlag is a number of things, 1 or more.
type countFlag int

func (c *countFlag) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n == 0 || n > maxCount {
		return fmt.Errorf("write a number from 1 to %d", maxCount)
	}
	*c = countFlag(n)
	return nil
}

func (c *countFlag) String() string { return strconv.Itoa(int(*c)) }
func (c *countFlag) Type() string   { return "NUMBER" }

// address joins host and port. The host is a name or an address, an IPv6 one with or
// without brackets.
func address(host string, port portFlag) (string, error) {
	bare := unbracketed(host)
	name, rest, found := strings.Cut(host, ":")
	switch err := checkHost(host); {
	case err == nil:
		return net.JoinHostPort(bare, port.String()), nil
	case found && name != "" && !strings.ContainsAny(rest, ":/"):
		return "", fmt.Errorf("--host %q holds a port; write --host %s --port %s", host, name, rest)
	case host == "":
		return "", fmt.Errorf("--host %w", err)
	default:
		return "", fmt.Errorf("--host %q %w", host, err)
	}
}

// unbracketed returns the address of an IPv6 address in brackets, and any other host as it is.
func unbracketed(host string) string {
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		if _, err := netip.ParseAddr(host[1 : len(host)-1]); err == nil {
			return host[1 : len(host)-1]
		}
	}
	return host
}

// checkHost says what is wrong with a host, after its name.
func checkHost(host string) error {
	if addr, err := netip.ParseAddr(unbracketed(host)); err == nil {
		if addr.Is6() && addr.IsLinkLocalUnicast() && addr.Zone() == "" {
			return fmt.Errorf("is a link-local address; name the interface too, such as %s%%eth0", addr)
		}
		return nil
	}
	name, rest, found := strings.Cut(host, ":")
	switch {
	case host == "":
		return errors.New("is empty; name the agent's host, such as localhost")
	case strings.Contains(host, "/"):
		return errors.New("is no host; write a name or an address alone")
	case found && name != "" && !strings.Contains(rest, ":"):
		return fmt.Errorf("holds a port; write %s as the host and %s as the port", name, rest)
	case strings.ContainsFunc(host, notInHostName):
		return errors.New("is neither a host name nor an address")
	}
	return nil
}

// notInHostName reports what no host name holds. What else is wrong with one, the resolver
// will say.
func notInHostName(r rune) bool {
	return r <= ' ' || r == 0x7f || strings.ContainsRune(`:[]%@"'\`, r)
}
