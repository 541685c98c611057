package live

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/bpf"
)

// Values of packets and of the kernel: RFC 791, RFC 8200, RFC 9293, packet(7), if_arp.h.
const (
	protoTCP       = 6
	packetOutgoing = 4   // PACKET_OUTGOING
	arphrdLoopback = 772 // ARPHRD_LOOPBACK
)

// acceptBytes is what a filter returns for a packet that passes: the bytes to keep.
const acceptBytes = snapBytes

// filterFor returns a BPF program that passes IP packets with TCP to and from the ports of the
// agents. A loopback interface shows each packet twice, outgoing and incoming; with once, the
// outgoing one is rejected.
func filterFor(agents []netip.AddrPort, once bool) ([]bpf.RawInstruction, error) {
	var program []bpf.Instruction
	if once {
		program = append(program,
			bpf.LoadExtension{Num: bpf.ExtLinkLayerType},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: arphrdLoopback, SkipTrue: 3},
			bpf.LoadExtension{Num: bpf.ExtType},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: packetOutgoing, SkipTrue: 1},
			bpf.RetConstant{Val: 0})
	}
	for _, agent := range agents {
		for _, at := range []uint32{0, 2} { // of the sender and the receiver
			program = append(program, matchAgent(agent.Addr(), agent.Port(), at)...)
		}
	}
	return bpf.Assemble(append(program, bpf.RetConstant{Val: 0}))
}

// matchAgent accepts a packet if all of its tests hold; otherwise the program continues behind
// it. portAt is the offset of the agent's port: 0 in packets from the agent, 2 in packets to it.
func matchAgent(agent netip.Addr, port uint16, portAt uint32) []bpf.Instruction {
	tests := []bpf.Instruction{load(0, 1), bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4}}
	if agent.Is4() {
		tests = append(tests, equal(4),
			load(9, 1), equal(protoTCP),
			load(12+portAt*2, 4), equal(binary.BigEndian.Uint32(agent.AsSlice())),
			load(6, 2), bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: 0x1fff}, // a later fragment has no ports
			bpf.LoadMemShift{Off: 0}, bpf.LoadIndirect{Off: portAt, Size: 2}, equal(uint32(port)))
	} else {
		tests = append(tests, equal(6),
			load(6, 1), equal(protoTCP))
		bytes := agent.As16()
		for i := uint32(0); i < 16; i += 4 {
			tests = append(tests, load(8+portAt*8+i, 4), equal(binary.BigEndian.Uint32(bytes[i:])))
		}
		tests = append(tests, load(40+portAt, 2), equal(uint32(port)))
	}
	// A failed test jumps to the end, whose distance is known now.
	for i, test := range tests {
		if jump, ok := test.(bpf.JumpIf); ok {
			jump.SkipFalse = uint8(len(tests) - i)
			tests[i] = jump
		}
	}
	return append(tests, bpf.RetConstant{Val: acceptBytes})
}

func load(off uint32, size int) bpf.Instruction { return bpf.LoadAbsolute{Off: off, Size: size} }

func equal(value uint32) bpf.Instruction { return bpf.JumpIf{Cond: bpf.JumpEqual, Val: value} }

// filterText describes the filter in the syntax of pcap-filter(7), for the file.
func filterText(agents []netip.AddrPort) string {
	hosts := make([]string, len(agents))
	for i, a := range agents {
		hosts[i] = fmt.Sprintf("host %s and port %d", a.Addr(), a.Port())
	}
	return "tcp and (" + strings.Join(hosts, " or ") + ")"
}
