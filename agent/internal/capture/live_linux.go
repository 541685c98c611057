package capture

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"golang.org/x/sys/unix"
)

type rawConn = syscall.RawConn

// claim binds a socket to a free local port, so that the port is known before the first
// packet goes out.
func (l *Live) claim(network string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		var any unix.Sockaddr = &unix.SockaddrInet4{}
		if network == "tcp6" {
			any = &unix.SockaddrInet6{}
		}
		if failed = unix.Bind(int(fd), any); failed != nil {
			return
		}
		bound, err := unix.Getsockname(int(fd))
		failed = err
		switch at := bound.(type) {
		case *unix.SockaddrInet4:
			l.own(uint16(at.Port))
		case *unix.SockaddrInet6:
			l.own(uint16(at.Port))
		}
	})
	return errors.Join(err, failed)
}

// openSources opens every interface over which the agents are reached.
func openSources(options LiveOptions) ([]source, error) {
	var names []string
	for _, agent := range options.Agents {
		name, err := interfaceTo(agent)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	var all []source
	for _, name := range names {
		s, err := openSource(name, options)
		if err != nil {
			for _, opened := range all {
				_ = opened.close() // nothing was read from it
			}
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// openSource opens one interface.
func openSource(name string, options LiveOptions) (source, error) {
	face, err := net.InterfaceByName(name)
	if err != nil {
		return source{}, fmt.Errorf("cannot capture on %s: %w", name, err)
	}
	link, err := linkOf(face)
	if err != nil {
		return source{}, err
	}
	agents := make([]netip.Addr, len(options.Agents))
	for i, a := range options.Agents {
		agents[i] = a.Unmap().WithZone("")
	}
	program, err := filterFor(agents, options.Port, link == layers.LinkTypeEthernet, face.Flags&net.FlagLoopback != 0)
	if err != nil {
		return source{}, fmt.Errorf("cannot capture on %s: %w", name, err)
	}
	handle, err := pcapgo.NewEthernetHandle(name)
	if err != nil {
		return source{}, fmt.Errorf("cannot capture on %s: %w", name, err)
	}
	if err := handle.SetBPF(program); err != nil {
		_ = handle.Close() // nothing was read from it
		return source{}, fmt.Errorf("cannot capture on %s: the kernel does not take the filter: %w", name, err)
	}
	return source{
		name: name, link: link, filter: filterText(agents, options.Port), close: handle.Close,
		read: func() ([]byte, gopacket.CaptureInfo, error) {
			data, info, err := handle.ReadPacketData()
			if err == nil && len(info.AncillaryData) == 1 && link == layers.LinkTypeEthernet {
				data, info = tag(data, info)
			}
			return data, info, err
		},
		stats: func() (received, dropped uint64, err error) {
			counts, err := handle.Stats()
			if err != nil {
				return 0, 0, err
			}
			return uint64(counts.Packets), uint64(counts.Drops), nil
		},
	}, nil
}

// tag puts a VLAN tag back that the kernel has taken out of a frame.
func tag(data []byte, info gopacket.CaptureInfo) ([]byte, gopacket.CaptureInfo) {
	vlan, ok := info.AncillaryData[0].(int)
	if !ok || len(data) < etherTypeAt {
		return data, info
	}
	data = slices.Insert(data, etherTypeAt, 0x81, 0x00, byte(vlan>>8), byte(vlan))
	info.CaptureLength += vlanTag
	info.Length += vlanTag
	return data, info
}

// linkOf returns the link type of an interface's packets. It needs the right to capture.
func linkOf(face *net.Interface) (layers.LinkType, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0) // of no protocol: it receives nothing
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return 0, ErrNotPermitted
	}
	if err != nil {
		return 0, fmt.Errorf("cannot capture on %s: %w", face.Name, err)
	}
	defer func() { _ = unix.Close(fd) }() // nothing was read from it
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: face.Index}); err != nil {
		return 0, fmt.Errorf("cannot capture on %s: %w", face.Name, err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		return 0, fmt.Errorf("cannot capture on %s: %w", face.Name, err)
	}
	at, ok := bound.(*unix.SockaddrLinklayer)
	switch {
	case ok && (at.Hatype == unix.ARPHRD_ETHER || at.Hatype == unix.ARPHRD_LOOPBACK):
		return layers.LinkTypeEthernet, nil
	case ok && (at.Hatype == unix.ARPHRD_NONE || at.Hatype == unix.ARPHRD_PPP || at.Hatype == unix.ARPHRD_RAWIP):
		return layers.LinkTypeRaw, nil
	default:
		return 0, fmt.Errorf("cannot capture on %s: its packets are neither Ethernet nor IP; capture with another tool", face.Name)
	}
}
