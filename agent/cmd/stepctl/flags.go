package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/load"
	"github.com/stepagent/stepagent/agent/internal/shared/cli"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
)

// The default address of the agent.
const (
	defaultHost = "localhost"
	defaultPort = 8080
)

// A portFlag is a TCP port, 1 to 65535.
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

// A secondsFlag is a duration in seconds, with fractions.
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

const maxCount = 1_000_000

// A countFlag is a number from 1 to maxCount.
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

// A durationFlag is a duration with its unit; a bare number is in seconds.
type durationFlag time.Duration

func (d *durationFlag) Set(text string) error {
	length, err := time.ParseDuration(text)
	if err != nil {
		var seconds secondsFlag
		err = seconds.Set(text)
		length = time.Duration(seconds)
	}
	if err != nil || length <= 0 {
		return errors.New("write a length of time above 0, such as 500ms, 30s or 2m")
	}
	*d = durationFlag(length)
	return nil
}

func (d *durationFlag) String() string { return time.Duration(*d).String() }
func (d *durationFlag) Type() string   { return "DURATION" }

// A reconnectFlag says how often clients make a new connection.
type reconnectFlag string

const (
	eachStep    reconnectFlag = "step"
	eachSession reconnectFlag = "session"
)

func (r *reconnectFlag) Set(text string) error {
	switch reconnectFlag(text) {
	case eachStep, eachSession:
		*r = reconnectFlag(text)
	case "true": // as for a boolean flag
		*r = eachStep
	case "false", "":
		*r = ""
	default:
		return fmt.Errorf("write --reconnect or --reconnect=step, or --reconnect=session, not %q", text)
	}
	return nil
}

// noArgs refuses arguments. The value of --reconnect is optional and needs the =, so the hint is for
// users who wrote it as an argument.
func noArgs(cmd *cobra.Command, args []string) error {
	err := cli.NoArgs(cmd, args)
	if err == nil || cmd.Flags().Lookup("reconnect") == nil {
		return err
	}
	if word := reconnectFlag(args[0]); word == eachStep || word == eachSession {
		return fmt.Errorf("%w; did you mean --reconnect=%s?", err, word)
	}
	return err
}

func (r *reconnectFlag) String() string { return string(*r) }
func (r *reconnectFlag) Type() string   { return "step|session" }

func (r *reconnectFlag) choice() load.Reconnect {
	switch *r {
	case eachStep:
		return load.EachStep
	case eachSession:
		return load.EachSession
	default:
		return load.Never
	}
}

// address joins host and port. The host is a name or an address; an IPv6 address may have brackets.
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

// unbracketed removes the brackets of an IPv6 address.
func unbracketed(host string) string {
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		if _, err := netip.ParseAddr(host[1 : len(host)-1]); err == nil {
			return host[1 : len(host)-1]
		}
	}
	return host
}

// checkHost validates a host. The error is a predicate, to follow the host.
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

// notInHostName reports whether no host name contains r. The resolver finds other errors.
func notInHostName(r rune) bool {
	return r <= ' ' || r == 0x7f || strings.ContainsRune(`:[]%@"'\`, r)
}
