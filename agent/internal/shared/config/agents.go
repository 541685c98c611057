package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// maxAgents is the number of agents that a host may name.
const maxAgents = 16

// Addresses returns the hosts and ports of the agents that Host names, in order; there is at least one.
func (c Client) Addresses() []string {
	var all []string
	for entry := range strings.SplitSeq(c.Host, ",") {
		host, port, found := splitAgent(strings.Trim(entry, " "))
		if !found {
			port = strconv.Itoa(c.Port)
		}
		all = append(all, net.JoinHostPort(host, port))
	}
	return all
}

// Address returns the first of Addresses.
func (c Client) Address() string { return c.Addresses()[0] }

// BareHost returns the host of Address without the brackets of an IPv6 address.
func (c Client) BareHost() string {
	host, _, _ := net.SplitHostPort(c.Address()) // Address has joined them
	return host
}

// splitAgent splits host or host:port. The host has no brackets.
func splitAgent(entry string) (host, port string, found bool) {
	name, port, err := net.SplitHostPort(entry)
	if strings.HasPrefix(entry, "[") && err == nil {
		_, err = netip.ParseAddr(name)
	}
	if err != nil {
		return unbracketed(entry), "", false
	}
	return name, port, true
}

// checkAgents checks the agents to connect to, which commas separate.
func checkAgents(hosts string) string {
	entries := strings.Split(hosts, ",")
	if len(entries) > maxAgents {
		return fmt.Sprintf("names %d agents; at most %d are possible", len(entries), maxAgents)
	}
	known := map[string]bool{}
	for _, entry := range entries {
		entry = strings.Trim(entry, " ")
		if entry == "" && len(entries) > 1 {
			return show(hosts) + " has a comma without a host; write hosts such as a,b:8081"
		}
		if problem := checkAgent(entry); problem != "" {
			return problem
		}
		host, port, _ := splitAgent(entry)
		if known[host+" "+port] {
			return show(hosts) + " names " + clip(entry) + " twice; take one out"
		}
		known[host+" "+port] = true
	}
	return ""
}

// checkAgent checks an agent to connect to: a name or an address, with a port or without; an IPv6 address may
// have brackets, and has them before a port.
func checkAgent(entry string) string {
	host, port, found := splitAgent(entry)
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Is6() && addr.IsLinkLocalUnicast() && addr.Zone() == "" {
			return fmt.Sprintf("%s is a link-local address; name the interface too, such as %s%%eth0", show(host), addr)
		}
	} else if problem := checkAgentName(entry, host); problem != "" {
		return problem
	}
	if n, err := strconv.ParseUint(port, 10, 16); found && (err != nil || n == 0) {
		return fmt.Sprintf("%s has no valid port; write a number from 1 to 65535 after the colon", show(entry))
	}
	return ""
}

// checkAgentName checks the host of an entry, which is no address.
func checkAgentName(entry, host string) string {
	switch {
	case entry == "":
		return "is empty; name the agent's host, such as localhost"
	case strings.Contains(entry, "/"):
		return show(entry) + " is no host; write a name or an address alone"
	case host == "" || strings.ContainsFunc(host, notInHostName):
		return show(entry) + " is neither a host name nor an address"
	}
	return ""
}

// notInHostName reports whether no host name contains r. The resolver finds other errors.
func notInHostName(r rune) bool {
	return r <= ' ' || r == 0x7f || strings.ContainsRune(`:[]%@"'\`, r)
}
