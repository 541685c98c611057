#!/usr/bin/env bash
# Takes the captures of this folder anew: pcap/take.sh STEPAGENT.deb STEPCTL.deb [FOLDER]
#
# Two network namespaces, "board" and "laptop", are joined by a cable (a veth pair). The board
# has what the package stepagent installs, the laptop what stepctl installs, and nothing else
# of this project but the field client. Needs root, tcpdump and python3.
set -euo pipefail

usage() { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[ $# -ge 2 ] && [ -f "$1" ] && [ -f "$2" ] || usage
[ "$(id -u)" = 0 ] || { echo "take.sh: network namespaces need root" >&2; exit 2; }
for command in ip tcpdump python3 dpkg-deb; do
	command -v "$command" >/dev/null || { echo "take.sh: $command is missing; install its package" >&2; exit 2; }
done

here=$(cd "$(dirname "$0")" && pwd)
out=$(mkdir -p "${3:-$here}" && cd "${3:-$here}" && pwd)
work=$(mktemp -d)
board=board-$$ laptop=laptop-$$
readonly address=192.168.77.1 port=8080
agent='' dump=''

finish() {
	for pid in $agent $dump; do kill "$pid" 2>/dev/null || true; done
	wait
	ip netns delete "$board" 2>/dev/null || true
	ip netns delete "$laptop" 2>/dev/null || true
	rm -rf "$work"
}
trap finish EXIT

say() { printf '%s\n' "$*"; }

# --- the two hosts
dpkg-deb -x "$1" "$work/board"
dpkg-deb -x "$2" "$work/laptop"
ip netns add "$board"
ip netns add "$laptop"
ip link add cable netns "$board" type veth peer name cable netns "$laptop"
ip -n "$board" address add $address/24 dev cable
ip -n "$laptop" address add 192.168.77.2/24 dev cable
for host in "$board" "$laptop"; do
	ip -n "$host" link set lo up
	ip -n "$host" link set cable up
done
# Each becomes the command, so that its process number is that of what runs in the background.
on_board=(ip netns exec "$board" env XDG_RUNTIME_DIR="$work" "$work/board/usr/bin/stepagent")
on_laptop=(ip netns exec "$laptop" "$work/laptop/usr/bin/stepctl")

# --- the agent, with the config of its package
config=$work/board/usr/share/stepagent/stepagent.toml
start_agent() { # [config]
	"${on_board[@]}" serve --config "${1:-$config}" 2>>"$work/agent.log" &
	agent=$!
	for _ in $(seq 100); do
		"${on_board[@]}" status --config "${1:-$config}" >/dev/null 2>&1 && return
		sleep 0.1
	done
	cat "$work/agent.log" >&2
	say "take.sh: the agent does not start" >&2
	exit 1
}
stop_agent() {
	kill "$agent"
	wait "$agent" || true
	agent=''
}

# --- captures
perform() { # name, wanted exit status, arguments of stepctl run
	local name=$1 wanted=$2 status=0
	shift 2
	say "$name"
	"${on_laptop[@]}" run "$@" --host $address --port $port --record "$work/$name.jsonl" --html "$work/$name.html" \
		--pcap "$work/$name.pcapng" >"$work/$name.txt" 2>&1 || status=$?
	[ "$status" = "$wanted" ] || { cat "$work/$name.txt"; say "take.sh: $name ended with $status, not $wanted" >&2; exit 1; }
	keep "$name".{pcapng,jsonl,html}
}
keep() { # files
	local file
	for file; do install -m 644 "$work/$file" "$out/$file"; done
}
start_dump() { # name
	: >"$work/dump.log"
	ip netns exec "$laptop" tcpdump -i cable -U -q -w "$work/$1.pcap" "tcp port $port" 2>"$work/dump.log" &
	dump=$!
	until grep -q 'listening on' "$work/dump.log"; do sleep 0.1; done
}
stop_dump() {
	sleep 1 # for what is still on its way
	kill "$dump"
	wait "$dump" || true
	dump=''
}

start_agent
perform success 0 --data success
perform failure 1 --data failure

say "clients"
start_dump clients
clients=()
for n in $(seq -w 20); do
	"${on_laptop[@]}" run --data success --host $address --port $port --session "client-$n" \
		--record "$work/client-$n.jsonl" --html "$work/client-$n.html" >"$work/client-$n.txt" 2>&1 &
	clients+=($!)
done
for client in "${clients[@]}"; do wait "$client"; done
stop_dump
keep clients.pcap
mkdir -p "$out/clients"
install -m 644 "$work"/client-*.jsonl "$work"/client-*.html "$out/clients/"

say "field"
start_dump field
ip netns exec "$laptop" python3 "$here/../testdata/fieldclient/field_client.py" --host $address --port $port \
	--data failure >"$work/field.txt" 2>&1 || true # it ends with 1 when a step failed
stop_dump
keep field.pcap field.txt

say "killed"
"${on_board[@]}" validators --config "$config" --json >"$work/validators.json"
plugin=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))[0]["pid"])' "$work/validators.json")
before=$(wc -l <"$work/agent.log")
( sleep 3; kill -KILL "$plugin" ) &
perform killed 0 --data success
tail -n "+$((before + 1))" "$work/agent.log" >"$work/killed.log"
keep killed.log
stop_agent

sed -e "s/^host = .*/host = \"$address\"/" "$here/../configs/faults.toml" >"$work/faults.toml"
grep -q '^host' "$work/faults.toml" || sed -i "1ihost = \"$address\"" "$work/faults.toml"
start_agent "$work/faults.toml"
perform timeout 1 --data timeout
stop_agent

( cd "$out" && find . -type f \( -name '*.pcap*' -o -name '*.jsonl' -o -name '*.html' -o -name field.txt -o -name killed.log \) -printf '%P\n' |
	LC_ALL=C sort | xargs sha256sum >SHA256SUMS )
say "taken: $out"
