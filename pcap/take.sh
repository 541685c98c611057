#!/usr/bin/env bash
# take.sh STEPAGENT.deb STEPCTL.deb [FOLDER]: takes the captures of this folder again.
#
# Two network namespaces, "board" and "laptop", are joined by a veth pair. The board has the files of
# the package stepagent, the laptop those of stepctl and the field client. Needs root, tcpdump, openssl
# and python3.
. "$(dirname "$0")/../packaging/acceptance/lib.sh"
[ $# -ge 2 ] && [ -f "$1" ] && [ -f "$2" ] || die "usage: $script STEPAGENT.deb STEPCTL.deb [FOLDER]"
require_root "for network namespaces"
require ip tcpdump openssl python3 dpkg-deb

out=$(mkdir -p "${3:-$root/pcap}" && cd "${3:-$root/pcap}" && pwd)
board=board-$$ laptop=laptop-$$
readonly address=192.168.77.1 port=8080
cleanup() { remove_hosts "$board" "$laptop"; }
workdir

# --- Hosts
dpkg-deb -x "$1" "$work/board"
dpkg-deb -x "$2" "$work/laptop"
connect_hosts cable "$board" "$laptop"
ip -n "$board" address add $address/24 dev cable
ip -n "$laptop" address add 192.168.77.2/24 dev cable
# Both commands replace ip by exec, so that $! is the process of stepagent or stepctl.
on_board=(ip netns exec "$board" env XDG_RUNTIME_DIR="$work" "$work/board/usr/bin/stepagent")
on_laptop=(ip netns exec "$laptop" "$work/laptop/usr/bin/stepctl")

# --- The agent, with the config of its package
config=$work/board/usr/share/stepagent/stepagent.toml
export STEPAGENT_HTTP_READ_ONLY=true # the folder of the token is made when the package is installed
start_agent() { # [config]
	"${on_board[@]}" serve --config "${1:-$config}" 2>>"$work/log" &
	agent=$!
	within 10 "${on_board[@]}" status --config "${1:-$config}" || fail "the agent does not start"
}

# --- Captures
perform() { # name, wanted exit status, arguments of stepctl run
	local name=$1 wanted=$2 status=0
	shift 2
	"${on_laptop[@]}" run "$@" --host $address --port $port --record "$work/$name.jsonl" --html "$work/$name.html" \
		--pcap "$work/$name.pcapng" >"$work/$name.txt" 2>&1 || status=$?
	[ "$status" = "$wanted" ] || fail "$name ended with $status, not $wanted: $(cat "$work/$name.txt")"
	keep "$name".{pcapng,jsonl,html}
	ok "$name"
}
keep() { # files
	local file
	for file; do install -m 644 "$work/$file" "$out/$file"; done
}
start_dump() { # name
	capture "$laptop" "$work/$1.pcap" -i cable -q "tcp port $port"
	pids=("$dump")
}
stop_dump() {
	sleep 1 # the kernel delivers packets to tcpdump in blocks of a second
	kill "$dump"
	wait "$dump" || true
	pids=()
}

start_agent
perform success 0 --data success
perform failure 1 --data failure

start_dump clients
clients=()
for n in $(seq -w 20); do
	"${on_laptop[@]}" run --data success --host $address --port $port --session "client-$n" \
		--record "$work/client-$n.jsonl" --html "$work/client-$n.html" >"$work/client-$n.txt" 2>&1 &
	clients+=($!)
done
for client in "${clients[@]}"; do wait "$client"; done
stop_dump
ok "clients"
keep clients.pcap
mkdir -p "$out/clients"
install -m 644 "$work"/client-*.jsonl "$work"/client-*.html "$out/clients/"

start_dump field
ip netns exec "$laptop" python3 "$root/testdata/fieldclient/field_client.py" --host $address --port $port \
	--data failure >"$work/field.txt" 2>&1 || true # steps fail
stop_dump
ok "field"
keep field.pcap field.txt

"${on_board[@]}" validators --config "$config" --json >"$work/validators.json"
plugin=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))[0]["pid"])' "$work/validators.json")
before=$(wc -l <"$work/log")
( sleep 3; kill -KILL "$plugin" ) &
perform killed 0 --data success
tail -n "+$((before + 1))" "$work/log" >"$work/killed.log"
keep killed.log
stop_agent

quietly openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/board.key" -out "$work/board.pem" \
	-days 60 -subj "/CN=board" -addext "subjectAltName=IP:$address"
export STEPAGENT_TLS_CERTIFICATE=$work/board.pem STEPAGENT_TLS_KEY=$work/board.key
start_agent
cd "$work" # the record names the key log as the command line does
perform tls 1 --data failure --tls --ca board.pem --keylog tls.keys
keep tls.keys
stop_agent
unset STEPAGENT_TLS_CERTIFICATE STEPAGENT_TLS_KEY

sed -e "s/^host = .*/host = \"$address\"/" "$root/configs/faults.toml" >"$work/faults.toml"
grep -q '^host' "$work/faults.toml" || sed -i "1ihost = \"$address\"" "$work/faults.toml"
start_agent "$work/faults.toml"
perform timeout 1 --data timeout
stop_agent

( cd "$out" && find . -type f \( -name '*.pcap*' -o -name '*.jsonl' -o -name '*.html' -o -name '*.keys' -o -name field.txt -o -name killed.log \) -printf '%P\n' |
	LC_ALL=C sort | xargs sha256sum >SHA256SUMS )
ok "the captures are in $out"
