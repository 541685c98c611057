package live

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/gopacket/gopacket"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// bindLocal binds a socket to a free local port, so that the port is known before the SYN.
func bindLocal(network string, c syscall.RawConn) (port uint16, err error) {
	var failed error
	err = c.Control(func(fd uintptr) {
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
			port = uint16(at.Port)
		case *unix.SockaddrInet6:
			port = uint16(at.Port)
		}
	})
	return port, errors.Join(err, failed)
}

// receiveBytes is the size of the kernel's receive buffer, if the kernel allows that much.
const receiveBytes = 8 << 20

// A packetSocket receives the IP packets of all interfaces; packet(7).
type packetSocket struct {
	file   *os.File
	conn   syscall.RawConn
	buffer []byte
	names  map[int]string // of interfaces
}

// openSource opens a socket on all interfaces.
func openSource(options Options) (source, error) {
	agents := options.addresses()
	program, err := filterFor(agents, true)
	if err != nil {
		return source{}, fmt.Errorf("cannot capture: %w", err)
	}
	// Without a protocol it receives nothing until it has its filter.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return source{}, ErrNotPermitted
	}
	if err != nil {
		return source{}, fmt.Errorf("cannot capture: %w; capture with another tool, and verify that", err)
	}
	s := &packetSocket{file: os.NewFile(uintptr(fd), "packets"), buffer: make([]byte, snapBytes), names: map[int]string{}}
	if s.conn, err = s.file.SyscallConn(); err == nil {
		err = s.prepare(fd, program)
	}
	if err != nil {
		_ = s.file.Close() // nothing was read from it
		return source{}, fmt.Errorf("cannot capture: %w", err)
	}
	return source{filter: filterText(agents), read: s.read, stop: s.stop, stats: s.stats, close: s.file.Close}, nil
}

// prepare sets the filter and starts to receive.
func (s *packetSocket) prepare(fd int, program []bpf.RawInstruction) error {
	if err := setFilter(fd, program); err != nil {
		return fmt.Errorf("the kernel does not take the filter: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		return err
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBytes) != nil {
		// Without CAP_NET_ADMIN it is bounded by net.core.rmem_max; what is dropped is counted.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBytes)
	}
	return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL)})
}

func networkOrder(n uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, n))
}

func setFilter(fd int, program []bpf.RawInstruction) error {
	filter := make([]unix.SockFilter, len(program))
	for i, in := range program {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
}

// stop rejects further packets; those in the buffer are still read.
func (s *packetSocket) stop() {
	nothing := []bpf.RawInstruction{{Op: unix.BPF_RET | unix.BPF_K}}
	// Where this fails, reading ends as soon as no packet comes.
	_ = s.conn.Control(func(fd uintptr) { _ = setFilter(int(fd), nothing) })
	_ = s.file.SetReadDeadline(time.Now()) // packet sockets support deadlines
}

func (s *packetSocket) stats() (received, dropped uint64, err error) {
	var counts *unix.TpacketStats
	var failed error
	err = s.conn.Control(func(fd uintptr) {
		counts, failed = unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS)
	})
	if err = errors.Join(err, failed); err != nil {
		return 0, 0, err
	}
	return uint64(counts.Packets), uint64(counts.Drops), nil
}

// read waits for a packet. After stop it returns those in the buffer and then io.EOF.
func (s *packetSocket) read() (a received, err error) {
	var failed error
	err = s.conn.Read(func(fd uintptr) bool {
		a, failed = s.receive(int(fd))
		return !errors.Is(failed, unix.EAGAIN)
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = s.conn.Control(func(fd uintptr) { a, failed = s.receive(int(fd)) })
		if errors.Is(failed, unix.EAGAIN) {
			failed = io.EOF
		}
	}
	return a, errors.Join(err, failed)
}

// receive reads a packet from the socket and adds a header of linkType.
func (s *packetSocket) receive(fd int) (received, error) {
	var control [128]byte
	n, controls, _, from, err := unix.Recvmsg(fd, s.buffer, control[:], unix.MSG_TRUNC)
	for errors.Is(err, unix.EINTR) || errors.Is(err, unix.ENETDOWN) { // of one interface among others
		n, controls, _, from, err = unix.Recvmsg(fd, s.buffer, control[:], unix.MSG_TRUNC)
	}
	if err != nil {
		return received{}, err
	}
	at, ok := from.(*unix.SockaddrLinklayer)
	if !ok {
		return received{}, fmt.Errorf("a packet comes from %T", from)
	}
	data := cooked(at, s.buffer[:min(n, len(s.buffer))])
	return received{
		face: at.Ifindex, name: s.name(at.Ifindex), data: data,
		info: gopacket.CaptureInfo{Timestamp: timestamp(control[:controls]), CaptureLength: len(data), Length: cookedBytes + n},
	}, nil
}

// cooked returns the packet with a header of LINKTYPE_LINUX_SLL2. Its protocol is that of the IP
// packet: the kernel has removed any VLAN tag.
func cooked(at *unix.SockaddrLinklayer, ip []byte) []byte {
	protocol := uint16(unix.ETH_P_IP)
	if len(ip) > 0 && ip[0]>>4 == 6 {
		protocol = unix.ETH_P_IPV6
	}
	head := make([]byte, 0, cookedBytes+len(ip))
	head = binary.BigEndian.AppendUint16(head, protocol)
	head = binary.BigEndian.AppendUint16(head, 0) // reserved
	head = binary.BigEndian.AppendUint32(head, uint32(at.Ifindex))
	head = binary.BigEndian.AppendUint16(head, at.Hatype)
	head = append(head, at.Pkttype, at.Halen)
	head = append(head, at.Addr[:]...)
	return append(head, ip...)
}

// cookedBytes is the length of the header.
const cookedBytes = 20

// name returns the name of an interface, or its number when it no longer exists.
func (s *packetSocket) name(index int) string {
	if name, ok := s.names[index]; ok {
		return name
	}
	name := strconv.Itoa(index)
	if face, err := net.InterfaceByIndex(index); err == nil {
		name = face.Name
	}
	s.names[index] = name
	return name
}

// timestamp returns the kernel's time of a packet; socket(7), SO_TIMESTAMPNS.
func timestamp(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return time.Now()
	}
	native := binary.NativeEndian
	for _, m := range messages {
		if m.Header.Level != unix.SOL_SOCKET || m.Header.Type != unix.SO_TIMESTAMPNS {
			continue
		}
		switch len(m.Data) {
		case 16:
			return time.Unix(int64(native.Uint64(m.Data)), int64(native.Uint64(m.Data[8:])))
		case 8: // on systems of 32 bits
			return time.Unix(int64(native.Uint32(m.Data)), int64(native.Uint32(m.Data[4:])))
		}
	}
	return time.Now()
}
