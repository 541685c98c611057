#!/usr/bin/env bash
# capture.sh [FOLDER]: captures runs with stepctl and, at the same time, with tcpdump, and verifies the
# captures: whole, cut and tampered with. The hosts are two network namespaces. FOLDER holds the
# programs, bin by default. Needs root, ip, setcap, setpriv and tcpdump.
#
# It takes twenty seconds; most of that is a procedure whose timeouts are real.
. "$(dirname "$0")/lib.sh"
require_root "for network namespaces"
require ip setcap setpriv tcpdump
programs "${1-}"
workdir
readonly configs=$root/configs bench=capture-bench-$$ laptop=capture-laptop-$$
cleanup() {
	umount "$work/small" 2>/dev/null
	remove_hosts "$bench" "$laptop"
}
cd "$work"
chmod 1777 "$work" # as /tmp, from which the agent accepts a config

connect_hosts eth0 "$laptop" "$bench"
ip -n "$laptop" addr add 10.9.0.1/24 dev eth0
ip -n "$bench" addr add 10.9.0.2/24 dev eth0
ip -n "$laptop" -6 addr add fd00:9::1/64 dev eth0 nodad
ip -n "$bench" -6 addr add fd00:9::2/64 dev eth0 nodad

on() { ip netns exec "$@"; }

agent_on() { # host, name, arguments of stepagent serve
	local host=$1 name=$2
	shift 2
	mkdir "$name.run"
	RUNTIME_DIRECTORY=$work/$name.run serve "$name.log" ip netns exec "$host" "$bin/stepagent" serve --log-format text "$@"
	pids+=("$agent")
}
agent_on "$bench" plain --host :: --port 8080
agent_on "$bench" faulty --config "$configs/faults.toml" --host :: --port 8081
agent_on "$laptop" local --host localhost --port 8082
agent=

dumps=()
dump_on() { capture "$@"; pids+=("$dump") dumps+=("$dump"); }
dump_on "$bench" any.pcap -B 4096 -i any -y LINUX_SLL2 tcp
dump_on "$bench" cooked.pcap -B 4096 -i any -y LINUX_SLL tcp
dump_on "$laptop" laptop.pcap -B 4096 -i eth0
dump_on "$laptop" lo.pcap -B 4096 -i lo tcp

# An ordinary user, and a copy of stepctl with the capability to capture.
cp "$bin/stepctl" stepctl
as_user() { on "$laptop" setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set -all,+net_raw --inh-caps -all "$@"; }

code=0
as_user ./stepctl run --data success --host 10.9.0.2 --pcap refused.pcapng >refused.out 2>refused.err || code=$?
[ "$code" -eq 4 ] || fail "without the right: exit code $code"
grep -q "sudo setcap cap_net_raw+ep $work/stepctl$" refused.err || fail "without the right: $(cat refused.err)"
[ ! -s refused.pcapng ] && [ ! -s refused.out ] || fail "without the right, something was written"
ok "without the right to capture nothing is run, and the error names the command"
setcap cap_net_raw+ep stepctl

run() { # name, exit code, arguments
	local name=$1 want=$2 code=0
	shift 2
	as_user ./stepctl run "$@" --record "$name.jsonl" --pcap "$name.pcapng" >"$name.out" 2>"$name.err" || code=$?
	[ "$code" -eq "$want" ] || fail "$name: exit code $code: $(cat "$name.out" "$name.err")"
	ok "run $name"
}
runs=()
run timeout 1 --data timeout --host 10.9.0.2 --port 8081 & runs+=($!)
run success 0 --data success --host 10.9.0.2 & runs+=($!)
run failure6 1 --data failure --host fd00:9::2 & runs+=($!)
run failure-plain 1 --data failure --host 10.9.0.2 --plain & runs+=($!)
run local 0 --data success --port 8082 & runs+=($!)
for pid in "${runs[@]}"; do wait "$pid" || fail "a run"; done
sleep 2 # the kernel delivers packets to tcpdump in blocks of a second
for dump in "${dumps[@]}"; do
	kill "$dump"
	wait "$dump" || true
done

verify() { # exit code, text of the output or -, arguments
	local want=$1 text=$2 code=0
	shift 2
	"$bin/stepctl" verify --tolerance 0.5 "$@" >verify.out 2>verify.err || code=$?
	[ "$code" -eq "$want" ] || fail "verify $*: exit code $code: $(cat verify.out verify.err)"
	[ "$text" = - ] || grep -q -- "$text" verify.out || fail "verify $*: want $text: $(cat verify.out)"
	ok "verify $*"
}
verify 0 '10 steps, of which 10 passed' success.pcapng --data success --record success.jsonl
verify 0 'step 9 was refused for its declared timeout after .*; no timeout happened' failure6.pcapng --data failure --record failure6.jsonl
verify 0 '10 connections with an agent' failure-plain.pcapng --data failure --record failure-plain.jsonl
verify 0 'of which 10 passed' local.pcapng --data success --record local.jsonl
verify 0 'step 4 timed out: no reply came within 5 s' timeout.pcapng --data timeout --record timeout.jsonl --config "$configs/faults.toml"
verify 0 'step 6 timed out after 5 s: the reply came 5.8' timeout.pcapng --data timeout
verify 0 'step 8 got no reply: the agent reset the connection' timeout.pcapng

# Captures of tcpdump: other link types, and the other end.
verify 0 'Linux cooked v2' any.pcap --port 8081 --record timeout.jsonl
verify 0 'Linux cooked v1' cooked.pcap --port 8081 --record timeout.jsonl
verify 0 - any.pcap --port 8080 --shows failure
verify 0 'of which 10 passed' lo.pcap --record local.jsonl
verify 0 'agree' laptop.pcap --port 8080 --record success.jsonl

# Every packet of loopback is captured once: two SYNs to one connection.
[ "$(on "$laptop" tcpdump -r local.pcapng 'tcp[tcpflags] & tcp-syn != 0' 2>/dev/null | wc -l)" -eq 2 ] || fail "loopback: not once"
ok "packets on loopback appear once"
# Each has both directions, from the first SYN to the last FIN.
for name in success local failure6; do
	flags=$(tcpdump -n -r "$name.pcapng" 2>/dev/null | sed 's/.*Flags \[\([^]]*\)\].*/\1/')
	[ "$(head -n1 <<<"$flags")" = S ] && [ "$(grep -c F <<<"$flags")" -eq 2 ] && [ "$(tail -n1 <<<"$flags")" = . ] ||
		fail "$name is not complete: $flags"
done
ok "captures are complete, from the first SYN to the last acknowledgement"

# A config whose validator is an executable, in a process of its own.
cat >strict.toml <<TOML
[[validators]]
name = "sequence"
[[validators]]
name = "min_timeout"
as = "from_outside"
path = "$bin/stepagent"
args = ["plugin"]
settings = { seconds = 5.005 }
TOML
verify 1 'the agent said OK, the validators say fail timeout_too_short: timeout 5 s is below the minimum of 5.005 s' success.pcapng --config strict.toml
grep -q '^    step 10 passed' verify.out && ! grep -A1 '^    step 10 passed' verify.out | grep -q fail || fail "step 10 waits 5.01 s"

# A capture with a changed code is refused, with the record and without.
sed 's/"error_code":1,"req"/"error_code":0,"req"/' failure6.pcapng >tampered.pcapng
! cmp -s failure6.pcapng tampered.pcapng || fail "nothing was changed"
sed '0,/"error_code":0,"req"/s//"error_code":1,"req"/' success.pcapng >tampered-success.pcapng
verify 1 'the reply has code 0 and the reason out_of_order' tampered.pcapng --data failure
verify 1 'the comment says that the run is a pass, and 9 of 10 steps passed' tampered-success.pcapng --shows none
verify 1 'the reply on the wire is another' tampered.pcapng --record failure6.jsonl
verify 1 'the capture is said to show a timeout, and no timeout happened' failure6.pcapng --shows timeout
verify 1 'differs' success.pcapng --data failure
verify 1 'is not in the capture' success.pcapng --record failure6.jsonl
head -c 3000 success.pcapng >cut.pcapng
verify 2 'the file cannot be read to its end' cut.pcapng

# Packets that leave by another interface than the main routing table says, by policy routing and by
# multipath routes, and return by a third; and a bridge, which each packet passes twice.
for host in "$bench" "$laptop"; do on "$host" sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0; done
ip link add eth1 netns "$laptop" type veth peer name eth1 netns "$bench"
ip -n "$laptop" addr add 10.9.1.1/24 dev eth1
ip -n "$bench" addr add 10.9.1.2/24 dev eth1
for host in "$bench" "$laptop"; do ip -n "$host" link set eth1 up; done
ip -n "$bench" addr add 10.8.0.2/32 dev lo
ip -n "$laptop" addr add 10.7.0.1/32 dev lo
ip -n "$bench" route add 10.7.0.1 via 10.9.1.1
ip -n "$laptop" route add 10.8.0.2 via 10.9.0.2 src 10.7.0.1
printf '{"test_services":[{"step_id":1,"timeout":5},{"step_id":2,"timeout":5},{"step_id":3,"timeout":5}]}' >three.json
run asymmetric 0 three.json --host 10.8.0.2
ip -n "$laptop" rule add ipproto tcp dport 8080 lookup 100
ip -n "$laptop" route add 10.8.0.2 via 10.9.1.2 src 10.7.0.1 table 100
run policy 0 three.json --host 10.8.0.2
ip -n "$laptop" rule del lookup 100
ip -n "$laptop" route replace 10.8.0.2 src 10.7.0.1 nexthop via 10.9.0.2 nexthop via 10.9.1.2
on "$laptop" sysctl -qw net.ipv4.fib_multipath_hash_policy=1
run multipath 0 three.json --host 10.8.0.2 --plain
ip -n "$laptop" link add br0 type bridge
ip -n "$laptop" addr del 10.9.0.1/24 dev eth0
ip -n "$laptop" link set eth0 master br0
ip -n "$laptop" addr add 10.9.0.1/24 dev br0
ip -n "$laptop" link set br0 up
run bridge 0 three.json --host 10.9.0.2
for name in asymmetric policy multipath bridge; do verify 0 'of which 3 passed' "$name.pcapng" --record "$name.jsonl"; done
[ "$(tcpdump -r bridge.pcapng 'tcp[tcpflags] & tcp-syn != 0' 2>/dev/null | wc -l)" -eq 2 ] || fail "bridge: not once"
ok "packets are captured once, on whichever interface they pass"

# A full disk ends the capture and not the run.
mkdir small
mount -t tmpfs -o size=4k none small
code=0
on "$laptop" "$bin/stepctl" run --data success --host 10.9.0.2 --pcap small/run.pcapng >full.out 2>full.err || code=$?
[ "$code" -eq 4 ] || fail "a full disk: exit code $code: $(cat full.out full.err)"
grep -q 'cannot write the capture: write small/run.pcapng: no space left on device' full.err || fail "a full disk: $(cat full.err)"
grep -q '^pass: all 10 steps' full.out || fail "a full disk: $(cat full.out)"
ok "a full disk"
