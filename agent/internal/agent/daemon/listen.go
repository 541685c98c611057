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

	"github.com/stepagent/stepagent/agent/internal/agent/server"
	"github.com/stepagent/stepagent/agent/internal/agent/systemd"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

// A bound is a listener of the agent, and whether its clients speak TLS, as config.TLSMode says it.
type bound struct {
	net.Listener
	tls string
}

// absent returns why clients cannot reach the listener; empty when they can.
func (b bound) absent() string {
	if own, ok := b.Listener.(*listener); ok {
		return own.absent()
	}
	return ""
}

// A wanted is an address of the config to listen on.
type wanted struct {
	endpoint
	tls string // as that of bound
	key string // of the config; empty for host and port
}

// listen opens the addresses of the config, in its order, but for those that systemd has opened.
// changed is called after each change of whether an address is there.
func listen(ctx context.Context, c *config.Loaded, service *systemd.Service, log *slog.Logger, changed func()) (all []bound, err error) {
	list, err := endpoints(c)
	if err != nil {
		return nil, err
	}
	passed := make([][]net.Listener, len(list))
	var problems config.Problems
	for _, l := range service.Inherited() {
		i := slices.IndexFunc(list, func(w wanted) bool { key, _ := w.disagrees(ctx, l.Addr()); return key == "" })
		if i >= 0 {
			passed[i] = append(passed[i], l)
			continue
		}
		key, wrong := list[0].disagrees(ctx, l.Addr())
		problems = append(problems, c.Problem(key, fmt.Sprintf("%s, but the socket that systemd has passed listens on %v; "+
			"change this key, or ListenStream with: systemctl edit stepagent.socket", wrong, l.Addr())))
	}
	if len(problems) > 0 {
		return nil, problems
	}
	defer func() {
		if err != nil {
			closeAll(all)
		}
	}()
	for i, w := range list {
		for _, l := range passed[i] {
			all = append(all, bound{l, w.tls})
		}
		if len(passed[i]) > 0 {
			continue
		}
		own, err := newListener(ctx, w.endpoint, log, changed)
		switch {
		case err != nil && w.key != "":
			return all, config.Problems{c.Problem(w.key, err.Error())}
		case err != nil:
			return all, err
		}
		all = append(all, bound{own, w.tls})
	}
	return all, nil
}

func closeAll(listeners []bound) {
	for _, l := range listeners {
		_ = l.Close() // mostly closed already
	}
}

// endpoints returns the addresses of a config to listen on: host and port, then the list.
func endpoints(c *config.Loaded) ([]wanted, error) {
	list := []wanted{{tcpEndpoint{c.Host, c.Port, "--port"}, c.TLSMode(c.TLS.Mode, false), ""}}
	for i, l := range c.Listeners {
		key := fmt.Sprintf("listeners[%d]", i)
		path, unix := l.Socket()
		w := wanted{tls: c.TLSMode(l.TLS, unix), key: key + ".address"}
		if unix {
			file, err := stepSocket(c, key, path, l)
			if err != nil {
				return nil, err
			}
			w.endpoint = file
		} else {
			host, port, err := net.SplitHostPort(l.Address)
			number, portErr := strconv.Atoi(port)
			if err := errors.Join(err, portErr); err != nil {
				return nil, config.Problems{c.Problem(w.key, err.Error())} // which the config has checked
			}
			w.endpoint = tcpEndpoint{host, number, w.key}
		}
		list = append(list, w)
	}
	return list, nil
}

// mode returns what the server calls it.
func (b bound) mode() server.Mode {
	return map[string]server.Mode{config.TLSOn: server.TLS, config.TLSEither: server.Either}[b.tls] // else Plain
}

// stepSocket returns a unix socket for steps.
func stepSocket(c *config.Loaded, key, path string, l config.Listener) (f socketFile, err error) {
	f = socketFile{path: path, owner: -1, group: -1, key: key, what: "the socket", another: key + ".address"}
	if f.mode, err = fileMode(l.Mode); err != nil {
		return f, config.Problems{c.Problem(key+".mode", err.Error())} // which the config has checked
	}
	if l.Owner != "" {
		if f.owner, err = lookupUser(l.Owner); err != nil {
			return f, config.Problems{c.Problem(key+".owner", err.Error()+"; name another, or leave the key out")}
		}
	}
	if l.Group != "" {
		if f.group, err = LookupGroup(l.Group); err != nil {
			return f, config.Problems{c.Problem(key+".group", err.Error()+"; name another, or leave the key out")}
		}
	}
	return f, nil
}

// disagrees returns the key of the config that contradicts the address of a socket that systemd has
// opened, and its value: commands find the agent by its port, and the config limits who may connect.
func (w wanted) disagrees(ctx context.Context, passed net.Addr) (key, wrong string) {
	e, ok := w.endpoint.(tcpEndpoint)
	if !ok {
		if passed.Network() == "unix" && "unix:"+passed.String() == w.String() {
			return "", ""
		}
		return w.key, "is " + w.String()
	}
	tcp, ok := passed.(*net.TCPAddr)
	if !ok {
		return "port", fmt.Sprintf("is %d, of TCP", e.port)
	}
	if e.port != 0 && e.port != tcp.Port {
		return "port", fmt.Sprintf("is %d", e.port)
	}
	on := tcp.AddrPort().Addr().Unmap().WithZone("")
	found, err := resolve(ctx, e.host)
	if err != nil {
		return "host", fmt.Sprintf("is %s (%v)", e.host, err)
	}
	if slices.ContainsFunc(found, func(host netip.Addr) bool {
		return host.IsUnspecified() && (host.Is6() || on.Is4()) || host.WithZone("") == on
	}) {
		return "", ""
	}
	return "host", "is " + e.host
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

// An endpoint is an address of the config to listen on.
type endpoint interface {
	// open listens. The error is an absentError where waiting may help.
	open(ctx context.Context) (socket, error)
	// String returns the address as the config has it.
	String() string
	// interval is how often to check that the address is there.
	interval() time.Duration
}

// A socket is a listening socket.
type socket interface {
	net.Listener
	SetDeadline(t time.Time) error
	// exists reports whether clients still reach it, and mayVanish whether that can change.
	exists() bool
	mayVanish() bool
	// boundAddr is Addr, as people write it.
	boundAddr() net.Addr
}

// A tcpEndpoint is a host and a port. Setting is what names another port.
type tcpEndpoint struct {
	host    string
	port    int
	setting string
}

func (e tcpEndpoint) String() string { return net.JoinHostPort(e.host, strconv.Itoa(e.port)) }

func (e tcpEndpoint) interval() time.Duration {
	if _, err := netip.ParseAddr(e.host); err != nil && !isLocalhost(e.host) {
		return nameInterval
	}
	return addressInterval
}

func (e tcpEndpoint) open(ctx context.Context) (socket, error) {
	addrs, err := resolve(ctx, e.host)
	if err != nil {
		return nil, absentError(fmt.Sprintf("the name %s has no address now: %v", e.host, err))
	}
	var first error
	for _, addr := range addrs {
		s, err := openOn(addr, e.port, e.setting)
		if err == nil {
			return s, nil
		}
		if !errors.As(err, new(absentError)) {
			return nil, fmt.Errorf("cannot listen on %s: %w", e, err)
		}
		first = cmp.Or(first, err)
	}
	return nil, first
}

// A tcpSocket is a listening TCP socket and where it listens.
type tcpSocket struct {
	*net.TCPListener
	addr netip.Addr
	zone int // index of the interface of a link-local address; else 0
}

// maxEnding is how long a port may still be taken by an agent that was killed: a process that it was just
// starting has its descriptors until it executes its program.
const maxEnding = time.Second

// openOn opens the port on an address. Setting is what names another port.
func openOn(addr netip.Addr, port int, setting string) (*tcpSocket, error) {
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
	for began := time.Now(); errors.Is(err, syscall.EADDRINUSE) && time.Since(began) < maxEnding; {
		time.Sleep(maxEnding / 10)
		listener, err = net.Listen(network, local)
	}
	switch {
	case err == nil:
		return &tcpSocket{listener.(*net.TCPListener), addr, zone}, nil
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

func (s *tcpSocket) mayVanish() bool { return !s.addr.IsUnspecified() }

// exists reports whether the machine still has the socket's address, on the same interface.
func (s *tcpSocket) exists() bool {
	if !s.mayVanish() {
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
func (s *tcpSocket) boundAddr() net.Addr {
	bound := s.Addr().(*net.TCPAddr)
	if s.zone == 0 {
		return bound
	}
	return &net.TCPAddr{IP: bound.IP, Port: bound.Port, Zone: s.addr.Zone()}
}
