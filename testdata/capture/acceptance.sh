#!/usr/bin/env bash
# Captures runs with stepctl itself, and beside it with tcpdump, and verifies what came of it:
# usage: acceptance.sh FOLDER-OF-THE-COMMANDS, as root; needs ip, setcap, setpriv, tcpdump, perl.
#
# Two hosts are two network namespaces. It takes about twenty seconds, most of which is a
# procedure whose timeouts are real.
set -euo pipefail
commands=$(realpath "$1")
configs=$(realpath "$(dirname "$0")/../../configs")
dir=$(mktemp -d /tmp/capture-XXXXXX)
bench=capture-bench-$$
laptop=capture-laptop-$$
pids=()
cleanup() {
	[ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
	umount "$dir/small" 2>/dev/null || true
	ip netns del "$bench" 2>/dev/null || true
	ip netns del "$laptop" 2>/dev/null || true
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
cd "$dir"
chmod 1777 "$dir" # as /tmp: a config in it is taken

fail() {
	printf 'FAIL: %s\n' "$*"
	exit 1
}
ok() { printf 'ok: %s\n' "$*"; }

ip netns add "$bench"
ip netns add "$laptop"
for host in "$bench" "$laptop"; do ip -n "$host" link set lo up; done
ip link add eth0 netns "$laptop" type veth peer name eth0 netns "$bench"
ip -n "$laptop" addr add 10.9.0.1/24 dev eth0
ip -n "$bench" addr add 10.9.0.2/24 dev eth0
ip -n "$laptop" -6 addr add fd00:9::1/64 dev eth0 nodad
ip -n "$bench" -6 addr add fd00:9::2/64 dev eth0 nodad
for host in "$bench" "$laptop"; do ip -n "$host" link set eth0 up; done

on() { ip netns exec "$@"; }

agent() { # namespace, name, arguments: waits until it listens
	local host=$1 name=$2
	shift 2
	mkdir "$name.run"
	: >"$name.log"
	RUNTIME_DIRECTORY=$dir/$name.run ip netns exec "$host" "$commands/stepagent" serve --log-format text "$@" 2>"$name.log" &
	pids+=($!)
	for _ in $(seq 100); do
		! grep -q 'msg="agent started"' "$name.log" || return 0
		sleep 0.1
	done
	cat "$name.log"
	fail "the agent $name did not start"
}
agent "$bench" plain --host :: --port 8080
agent "$bench" faulty --config "$configs/faults.toml" --host :: --port 8081
agent "$laptop" local --host localhost --port 8082

tcpdump_on() { # namespace, file, arguments: waits until it captures
	local host=$1 file=$2
	shift 2
	: >"$file.log"
	ip netns exec "$host" tcpdump -Z root -B 4096 -U -w "$file" "$@" 2>"$file.log" &
	pids+=($!)
	for _ in $(seq 100); do
		! grep -q '^tcpdump: listening on\|^listening on' "$file.log" || return 0
		sleep 0.1
	done
	cat "$file.log"
	fail "tcpdump did not start"
}
tcpdump_on "$bench" any.pcap -i any -y LINUX_SLL2 tcp
tcpdump_on "$bench" cooked.pcap -i any -y LINUX_SLL tcp
tcpdump_on "$laptop" laptop.pcap -i eth0
tcpdump_on "$laptop" lo.pcap -i lo tcp

# An ordinary user, and a copy of stepctl that has been given the right.
cp "$commands/stepctl" stepctl
as_user() { on "$laptop" setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set -all,+net_raw --inh-caps -all "$@"; }

code=0
as_user ./stepctl run --data success --host 10.9.0.2 --pcap refused.pcapng >refused.out 2>refused.err || code=$?
[ "$code" -eq 4 ] || fail "without the right: exit code $code"
grep -q "sudo setcap cap_net_raw+ep $dir/stepctl$" refused.err || fail "without the right: $(cat refused.err)"
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
sleep 2 # tcpdump gets what the kernel has gathered after a second
kill "${pids[@]:3}"
for pid in "${pids[@]:3}"; do wait "$pid" || true; done

verify() { # exit code, text to be found or -, arguments
	local want=$1 text=$2 code=0
	shift 2
	"$commands/stepctl" verify --tolerance 0.5 "$@" >verify.out 2>verify.err || code=$?
	[ "$code" -eq "$want" ] || fail "verify $*: exit code $code: $(cat verify.out verify.err)"
	[ "$text" = - ] || grep -q -- "$text" verify.out || fail "verify $*: not said: $text: $(cat verify.out)"
	ok "verify $*"
}
verify 0 '10 steps, of which 10 passed' success.pcapng --data success --record success.jsonl
verify 0 'step 9 was refused for its declared timeout after .*; no timeout happened' failure6.pcapng --data failure --record failure6.jsonl
verify 0 '10 connections with an agent' failure-plain.pcapng --data failure --record failure-plain.jsonl
verify 0 'of which 10 passed' local.pcapng --data success --record local.jsonl
verify 0 'step 4 timed out: no reply came within 5 s' timeout.pcapng --data timeout --record timeout.jsonl --config "$configs/faults.toml"
verify 0 'step 6 timed out after 5 s: the reply came 5.8' timeout.pcapng --data timeout
verify 0 'step 8 got no reply: the agent reset the connection' timeout.pcapng

# The same with what another program has captured, on other links, from the other end.
verify 0 'Linux cooked v2' any.pcap --port 8081 --record timeout.jsonl
verify 0 'Linux cooked v1' cooked.pcap --port 8081 --record timeout.jsonl
verify 0 - any.pcap --port 8080 --shows failure
verify 0 'of which 10 passed' lo.pcap --record local.jsonl
verify 0 'agree' laptop.pcap --port 8080 --record success.jsonl

# Every packet of loopback is captured once: two SYNs to one connection.
[ "$(on "$laptop" tcpdump -r local.pcapng 'tcp[tcpflags] & tcp-syn != 0' 2>/dev/null | wc -l)" -eq 2 ] || fail "loopback: not once"
ok "packets on loopback appear once"
# From the first SYN to the last FIN, in both directions.
for name in success local failure6; do
	flags=$(tcpdump -n -r "$name.pcapng" 2>/dev/null | sed 's/.*Flags \[\([^]]*\)\].*/\1/')
	[ "$(head -n1 <<<"$flags")" = S ] && [ "$(grep -c F <<<"$flags")" -eq 2 ] && [ "$(tail -n1 <<<"$flags")" = . ] ||
		fail "$name is not whole: $flags"
done
ok "captures are whole, from the first SYN to the last acknowledgement"

# By the rules of a config whose validator is an executable, in a process of its own.
cat >strict.toml <<TOML
[[validators]]
name = "sequence"
[[validators]]
name = "min_timeout"
as = "from_outside"
path = "$commands/stepagent"
args = ["plugin"]
settings = { seconds = 5.005 }
TOML
verify 1 'the agent said OK, the validators say fail timeout_too_short: timeout 5 s is below the minimum of 5.005 s' success.pcapng --config strict.toml
grep -q '^    step 10 passed' verify.out && ! grep -A1 '^    step 10 passed' verify.out | grep -q fail || fail "step 10 waits 5.01 s"

# What was tampered with is not supported: a code, with the record and without.
sed 's/"error_code":1,"req"/"error_code":0,"req"/' failure6.pcapng >tampered.pcapng
cmp -s failure6.pcapng tampered.pcapng && fail "nothing was changed"
sed '0,/"error_code":0,"req"/s//"error_code":1,"req"/' success.pcapng >tampered-success.pcapng
verify 1 'the reply has code 0 and the reason out_of_order' tampered.pcapng --data failure
verify 1 'the comment says that the run is a pass, and 9 of 10 steps passed' tampered-success.pcapng --shows none
verify 1 'the reply on the wire is another' tampered.pcapng --record failure6.jsonl
verify 1 'the capture is said to show a timeout, and no timeout happened' failure6.pcapng --shows timeout
verify 1 'differs' success.pcapng --data failure
verify 1 'is not in the capture' success.pcapng --record failure6.jsonl
head -c 3000 success.pcapng >cut.pcapng
verify 2 'the file cannot be read to its end' cut.pcapng

# Packets that take another interface than the plain route says, by policy routing and by
# multipath routes, and come back by a third way; and a bridge, where each passes twice.
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
ok "packets are captured on every interface that they pass, and once"

# A disk without room is told, and the run goes on.
mkdir small
mount -t tmpfs -o size=4k none small
code=0
on "$laptop" "$commands/stepctl" run --data success --host 10.9.0.2 --pcap small/run.pcapng >full.out 2>full.err || code=$?
[ "$code" -eq 4 ] || fail "a full disk: exit code $code: $(cat full.out full.err)"
grep -q 'cannot write the capture: write small/run.pcapng: no space left on device' full.err || fail "a full disk: $(cat full.err)"
grep -q '^pass: all 10 steps' full.out || fail "a full disk: $(cat full.out)"
ok "a full disk"
printf 'captures are taken whole and judged rightly\n'
