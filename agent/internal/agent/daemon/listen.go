package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/systemd"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

// listen returns the listeners that systemd has opened, which must be what the config says, or
// opens the port: own is the listener that it has opened. changed is called after each change of
// whether its address is there.
func listen(ctx context.Context, c *config.Loaded, service *systemd.Service, log *slog.Logger, changed func()) (all []net.Listener, own *listener, err error) {
	all = service.Inherited()
	var problems config.Problems
	for _, listener := range all {
		if key, wrong := disagrees(ctx, c, listener.Addr()); wrong != "" {
			problems = append(problems, c.Problem(key, fmt.Sprintf("%s, but the socket that systemd has passed listens on %v; "+
				"change this key, or ListenStream with: systemctl edit stepagent.socket", wrong, listener.Addr())))
		}
	}
	switch {
	case len(problems) > 0:
		return nil, nil, problems
	case len(all) > 0:
		return all, nil, nil
	}
	if own, err = newListener(ctx, c, log, changed); err != nil {
		return nil, nil, err
	}
	return []net.Listener{own}, own, nil
}

// disagrees returns the key of the config that contradicts the address of a socket that systemd has
// opened, and its value: commands find the agent by its port, and the config limits who may connect.
func disagrees(ctx context.Context, c *config.Loaded, passed net.Addr) (key, wrong string) {
	tcp, ok := passed.(*net.TCPAddr)
	if !ok {
		return "port", fmt.Sprintf("is %d, of TCP", c.Port)
	}
	if c.Port != 0 && c.Port != tcp.Port {
		return "port", fmt.Sprintf("is %d", c.Port)
	}
	on := tcp.AddrPort().Addr().Unmap().WithZone("")
	found, err := resolve(ctx, c.Host)
	if err != nil {
		return "host", fmt.Sprintf("is %s (%v)", c.Host, err)
	}
	if slices.ContainsFunc(found, func(host netip.Addr) bool {
		return host.IsUnspecified() && (host.Is6() || on.Is4()) || host.WithZone("") == on
	}) {
		return "", ""
	}
	return "host", "is " + c.Host
}

// resolveTime bounds how long a name server may take.
const resolveTime = 3 * time.Second

// resolve returns the addresses of a host, in the order in which to try them.
func resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, nil
	}
	if isLocalhost(host) {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTime)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	for i := range found {
		found[i] = found[i].Unmap()
	}
	slices.SortStableFunc(found, func(a, b netip.Addr) int { return a.BitLen() - b.BitLen() }) // IPv4 first
	return found, nil
}

// isLocalhost reports whether a name means this machine by RFC 6761, section 6.3. It needs no
// resolver: /etc/hosts may lack it, and a name server may return another host.
func isLocalhost(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	return name == "localhost" || name == "localhost.localdomain" || strings.HasSuffix(name, ".localhost")
}

// An absentError is the error for a host that is not an address of this machine yet.
type absentError string

func (e absentError) Error() string { return string(e) }

// A socket is a listening socket and where it listens.
type socket struct {
	*net.TCPListener
	addr netip.Addr
	zone int // index of the interface of a link-local address; else 0
}

// open opens the port on the host.
func open(ctx context.Context, c *config.Loaded) (*socket, error) {
	addrs, err := resolve(ctx, c.Host)
	if err != nil {
		return nil, absentError(fmt.Sprintf("the name %s has no address now: %v", c.Host, err))
	}
	var first error
	for _, addr := range addrs {
		s, err := openOn(addr, c.Port, "--port")
		if err == nil {
			return s, nil
		}
		if !errors.As(err, new(absentError)) {
			return nil, fmt.Errorf("cannot listen on %s: %w", net.JoinHostPort(c.Host, strconv.Itoa(c.Port)), err)
		}
		first = cmp.Or(first, err)
	}
	return nil, first
}

// openOn opens the port on an address. Setting is what names another port.
func openOn(addr netip.Addr, port int, setting string) (*socket, error) {
	zone, err := zoneOf(addr)
	if err != nil {
		return nil, err
	}
	network, local := "tcp", net.JoinHostPort(hostText(addr, zone), strconv.Itoa(port))
	switch {
	case addr.Is4():
		network = "tcp4" // package net would make 0.0.0.0 every IPv6 address too
	case addr.IsUnspecified():
		local = net.JoinHostPort("", strconv.Itoa(port)) // works where there is no IPv6 as well
	}
	listener, err := net.Listen(network, local)
	switch {
	case err == nil:
		return &socket{listener.(*net.TCPListener), addr, zone}, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("port %d is taken; see who has it with: ss -ltnp 'sport = :%d'; or choose another with %s", port, port, setting)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, absentError(fmt.Sprintf("this machine does not have the address %v; see those that it has with: ip address", addr))
	case errors.Is(err, syscall.EACCES):
		return nil, errors.New("ports below 1024 need a right of their own (CAP_NET_BIND_SERVICE); choose another with " + setting)
	case errors.Is(err, syscall.EAFNOSUPPORT):
		return nil, absentError(fmt.Sprintf("this machine has no IPv6 for %v", addr))
	default:
		return nil, err
	}
}

// zoneOf returns the index of the interface that a link-local address of IPv6 needs: each
// interface has such addresses of its own, RFC 4007.
func zoneOf(addr netip.Addr) (int, error) {
	zone := addr.Zone()
	switch {
	case zone == "" && addr.Is6() && (addr.IsLinkLocalUnicast() || addr.IsLinkLocalMulticast()):
		return 0, fmt.Errorf("a link-local address needs its interface; "+
			"write it as in %v%%eth0; see the interfaces with: ip -6 address show scope link", addr)
	case zone == "":
		return 0, nil
	}
	// The table of package net is up to a minute old; an interface that comes again has another index.
	found, err := net.InterfaceByName(zone)
	if index, notNumber := strconv.Atoi(zone); err != nil && notNumber == nil {
		found, err = net.InterfaceByIndex(index)
	}
	if err != nil {
		return 0, absentError(fmt.Sprintf("this machine has no interface %s; see those that it has with: ip link", zone))
	}
	return found.Index, nil
}

// hostText returns an address for package net, with the index of its interface.
func hostText(addr netip.Addr, zone int) string {
	if zone == 0 {
		return addr.String()
	}
	return addr.WithZone(strconv.Itoa(zone)).String()
}

// hasAddress reports whether the machine still has the socket's address, on the same interface.
func (s *socket) hasAddress() bool {
	if s.addr.IsUnspecified() {
		return true
	}
	if zone, err := zoneOf(s.addr); err != nil || zone != s.zone {
		return false
	}
	// An address that another socket can bind is still there.
	probe, err := net.ListenPacket("udp", net.JoinHostPort(hostText(s.addr, s.zone), "0"))
	if err != nil {
		return !errors.Is(err, syscall.EADDRNOTAVAIL) // running out of descriptors proves nothing
	}
	_ = probe.Close() // nothing was sent
	return true
}

// boundAddr returns the address with the zone as the config has it, which the kernel's does not say.
func (s *socket) boundAddr() net.Addr {
	bound := s.Addr().(*net.TCPAddr)
	if s.zone == 0 {
		return bound
	}
	return &net.TCPAddr{IP: bound.IP, Port: bound.Port, Zone: s.addr.Zone()}
}
