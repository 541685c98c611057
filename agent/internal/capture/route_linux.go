package capture

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// interfaceTo returns the name of the interface over which packets to an address go, as the
// kernel's routing has it.
func interfaceTo(to netip.Addr) (string, error) {
	if to.Zone() != "" {
		return to.Zone(), nil
	}
	index, err := routeTo(to.Unmap())
	if err != nil {
		return "", fmt.Errorf("there is no route to %s: %w", to, err)
	}
	face, err := net.InterfaceByIndex(index)
	if err != nil {
		return "", fmt.Errorf("there is no route to %s: %w", to, err)
	}
	return face.Name, nil
}

// routeTo asks for the index of the interface, rtnetlink(7).
func routeTo(to netip.Addr) (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return 0, err
	}
	defer func() { _ = unix.Close(fd) }() // what it was for is done
	if err := unix.Sendto(fd, routeRequest(to), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, err
	}
	buffer := make([]byte, unix.Getpagesize())
	n, _, err := unix.Recvfrom(fd, buffer, 0)
	if err != nil {
		return 0, err
	}
	return routeAnswer(buffer[:n])
}

// routeRequest is a RTM_GETROUTE for one address.
func routeRequest(to netip.Addr) []byte {
	family, address := byte(unix.AF_INET), to.AsSlice()
	if to.Is6() {
		family = unix.AF_INET6
	}
	native := binary.NativeEndian
	attribute := native.AppendUint16(nil, uint16(unix.SizeofRtAttr+len(address)))
	attribute = append(native.AppendUint16(attribute, unix.RTA_DST), address...)
	route := make([]byte, unix.SizeofRtMsg)
	route[0], route[1] = family, byte(len(address)*8)
	message := native.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(route)+len(attribute)))
	message = native.AppendUint16(message, unix.RTM_GETROUTE)
	message = native.AppendUint16(message, unix.NLM_F_REQUEST)
	message = append(message, make([]byte, 8)...) // sequence and sender, of which there is one
	return append(append(message, route...), attribute...)
}

// routeAnswer returns the outgoing interface of a RTM_NEWROUTE.
func routeAnswer(answer []byte) (int, error) {
	native := binary.NativeEndian
	const head = unix.SizeofNlMsghdr
	if len(answer) < head+unix.SizeofRtMsg {
		return 0, fmt.Errorf("the kernel's answer has %d bytes", len(answer))
	}
	if native.Uint16(answer[4:]) == unix.NLMSG_ERROR {
		return 0, unix.Errno(-int32(native.Uint32(answer[head:])))
	}
	for rest := answer[head+unix.SizeofRtMsg:]; len(rest) >= unix.SizeofRtAttr; {
		length := int(native.Uint16(rest))
		if length < unix.SizeofRtAttr || length > len(rest) {
			break
		}
		if native.Uint16(rest[2:]) == unix.RTA_OIF && length >= unix.SizeofRtAttr+4 {
			return int(native.Uint32(rest[unix.SizeofRtAttr:])), nil
		}
		rest = rest[min((length+3)&^3, len(rest)):]
	}
	return 0, fmt.Errorf("the kernel's answer names no interface")
}
