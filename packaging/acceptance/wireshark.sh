#!/usr/bin/env bash
# wireshark.sh [FOLDER [CAPTURE...]]: compares the Wireshark dissector with stepctl verify. Captures of
# runs, and those that are named, go through both; what they say of each request and reply must
# be the same. Then tshark reads packets that no client of this project sends. FOLDER holds the
# programs, bin by default. Needs tshark, openssl, python3 and root.
. "$(dirname "$0")/lib.sh"
require_root "to capture"
require tshark text2pcap openssl python3
programs "${1-}"
captures=()
for capture in "${@:2}"; do captures+=("$(realpath "$capture")"); done
workdir
cd "$work"
export HOME=$work

start_agent --config "$acceptance/data/faults.toml"
sed 's/"step_id": 6,/"step_id": 60,/' "$acceptance/data/faults.json" >steps
for mode in "" --plain; do # --plain: one connection a step, no newline after a message
	"$bin/stepctl" run steps --host 127.0.0.1 --port "$port" --pcap "run$mode.pcapng" $mode >out 2>&1 || [ $? = 1 ] || fail "$(cat out)"
	captures+=("$work/run$mode.pcapng")
done

# The same over TLS, which both decrypt with the key log of the client.
stop_agent
quietly openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out agent.pem -days 60 \
	-subj "/CN=agent" -addext subjectAltName=IP:127.0.0.1
export STEPAGENT_TLS_CERTIFICATE=$work/agent.pem STEPAGENT_TLS_KEY=$work/key.pem
start_agent --config "$acceptance/data/faults.toml"
for mode in "" --plain; do
	"$bin/stepctl" run steps --host 127.0.0.1 --port "$port" --tls --ca agent.pem --keylog keys.log --pcap "tls$mode.pcapng" \
		$mode >out 2>&1 || [ $? = 1 ] || fail "$(cat out)"
	captures+=("$work/tls$mode.pcapng")
done

for capture in "${captures[@]}"; do # those that are named may have key logs beside them
	[ ! -f "${capture%.*}.keys" ] || cat "${capture%.*}.keys" >>keys.log
done

fields=(frame.number stepagent.type stepagent.step_id stepagent.timeout stepagent.interval stepagent.session stepagent.req
	stepagent.error_code stepagent.reason stepagent.detail stepagent.request_in stepagent.reply_in stepagent.response_time
	stepagent.late stepagent.duplicate _ws.expert.message)
dissect() { # capture, filter, options of tshark: prints a JSON array
	local capture=$1 filter=$2
	shift 2
	tshark "$@" -o tls.keylog_file:keys.log -X "lua_script:$root/packaging/wireshark/stepagent.lua" -2 -r "$capture" -Y "$filter" -T json "${fields[@]/#/-e}" 2>errors || fail "tshark: $(cat errors)"
	! grep -iE 'lua|error' errors || fail "tshark complains about $capture"
}
for capture in "${captures[@]}"; do
	dissect "$capture" stepagent >fields.json
	"$bin/stepctl" verify "$capture" --keylog keys.log --json >verify.json || true # some of the runs failed
	python3 "$root/packaging/wireshark/compare.py" "$capture" fields.json verify.json || fail "$capture is read in two ways"
done

# Messages split across segments, on a port of no known service, and one that is no message.
cat >odd.txt <<'HEX'
I
0000 7b 22 73 74 65 70 5f 69 64 22 3a 31 7d 7b 22 73 74 65 70 5f 69 64 22 3a 32 2c 22 74 69
I
0000 6d 65 6f 75 74 22 3a 35 7d 20 0a 7b 22 73 74 65 70 5f 69 64 22 3a 2d 33
O
0000 7b 22 73 74 65 70 5f 69 64 22 3a 31 2c 22 65 72 72 6f 72 5f 63 6f 64 65 22 3a 30 7d 7b 22 73 74
I
0000 2c 22 72 65 71 22 3a 22 61 5c 22 7d 5c 75 64 35 35 63 22 7d
O
0000 65 70 5f 69 64 22 3a 32 2c 22 65 72 72 6f 72 5f 63 6f 64 65 22 3a 30 7d 0a
I
0000 7b 22 73 74 65 70 5f 69 64 22 3a 5d 7d
HEX
text2pcap -q -D -T 40000,9090 odd.txt odd.pcap
dissect odd.pcap stepagent >odd.json
python3 - <<'PY' || fail "messages across segments: $(cat odd.json)"
import json
rows = [r["_source"]["layers"] for r in json.load(open("odd.json"))]
flat = [(t, i) for r in rows for t, i in zip(r.get("stepagent.type", []), r.get("stepagent.step_id", []))]
assert flat == [("request", "1"), ("request", "2"), ("reply", "1"), ("request", "-3"), ("reply", "2")], flat
assert any('a"}한' in r.get("stepagent.req", []) for r in rows), rows
links = [r["stepagent.request_in"] for r in rows if "stepagent.request_in" in r]
assert links == [["1"], ["2"]], links
assert any("No message of protocol 1" in m for m in rows[-1]["_ws.expert.message"]), rows[-1]
PY
ok "${#captures[@]} captures, and messages across segments"
