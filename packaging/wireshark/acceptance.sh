#!/usr/bin/env bash
# Runs the dissector in tshark: acceptance.sh PATH-OF-STEPAGENT PATH-OF-STEPCTL [CAPTURE...]
#
# Captures of runs, and any that are named, go through tshark and through stepctl verify; what
# the two say of each request and reply must be the same. Then packets that no client of ours
# sends. Needs tshark, python3 and, for the captures, root.
set -euo pipefail
stepagent=$(realpath "$1")
stepctl=$(realpath "$2")
shift 2
here=$(realpath "$(dirname "$0")")
captures=()
for capture in "$@"; do captures+=("$(realpath "$capture")"); done
dir=$(mktemp -d /tmp/wireshark-XXXXXX)
agent=
cleanup() {
	[ -z "$agent" ] || kill "$agent" 2>/dev/null || true
	rm -rf "$dir"
}
trap cleanup EXIT
fail() {
	printf 'FAIL: %s\n' "$*"
	exit 1
}
export RUNTIME_DIRECTORY=$dir HOME=$dir
cd "$dir"
cat >agent.toml <<'TOML'
allow_faults = true
[[validators]]
name = "sequence"
[[validators]]
name = "min_timeout"
[validators.settings]
seconds = 0.1
[[validators]]
name = "faults"
[[validators.settings.plan]]
step_id = 2
fault = "late"
delay = 0.1
[[validators.settings.plan]]
step_id = 3
fault = "split"
delay = 0.05
[[validators.settings.plan]]
step_id = 4
fault = "reset"
[[validators.settings.plan]]
step_id = 5
fault = "duplicate"
[[validators.settings.plan]]
step_id = 7
fault = "withhold"
TOML
cat >steps <<'JSON'
{"test_services": [
  {"step_id": 1, "timeout": 0.8, "interval": 0.2}, {"step_id": 2, "timeout": 0.3, "interval": 0.3},
  {"step_id": 3, "timeout": 0.8, "interval": 0.1}, {"step_id": 4, "timeout": 0.8, "interval": 0.2},
  {"step_id": 5, "timeout": 0.8, "interval": 0.1}, {"step_id": 60, "timeout": 0.8, "interval": 0.1},
  {"step_id": 7, "timeout": 0.3, "interval": 0.1}, {"step_id": 8, "timeout": 60, "interval": 0.1},
  {"step_id": 9, "timeout": 0.05, "interval": 0}, {"step_id": 10, "timeout": 1, "interval": 0}]}
JSON
"$stepagent" serve --config agent.toml --host 127.0.0.1 --port 0 --log-format text 2>log &
agent=$!
port=
for _ in $(seq 100); do
	port=$(sed -n 's/.*msg="agent started" address=127.0.0.1:\([0-9]*\) .*/\1/p' log)
	[ -z "$port" ] || break
	sleep 0.1
done
[ -n "$port" ] || fail "the agent did not start"
"$stepctl" run steps --host 127.0.0.1 --port "$port" --pcap named.pcapng >out 2>&1 || [ $? = 1 ] || fail "$(cat out)"
# One connection a step, and no newline behind a message.
"$stepctl" run steps --host 127.0.0.1 --port "$port" --pcap plain.pcapng --plain >out 2>&1 || [ $? = 1 ] || fail "$(cat out)"
captures+=("$dir/named.pcapng" "$dir/plain.pcapng")

fields=(frame.number stepagent.type stepagent.step_id stepagent.timeout stepagent.interval stepagent.session stepagent.req
	stepagent.error_code stepagent.reason stepagent.detail stepagent.request_in stepagent.reply_in stepagent.response_time
	stepagent.late stepagent.duplicate _ws.expert.message)
dissect() { # capture, filter, options: one JSON array
	local capture=$1 filter=$2
	shift 2
	tshark "$@" -X "lua_script:$here/stepagent.lua" -2 -r "$capture" -Y "$filter" -T json "${fields[@]/#/-e}" 2>errors || fail "tshark: $(cat errors)"
	! grep -iE 'lua|error' errors || fail "tshark complains about $capture"
}
for capture in "${captures[@]}"; do
	dissect "$capture" stepagent >fields.json
	"$stepctl" verify "$capture" --json >verify.json || [ $? = 1 ] || [ $? = 5 ] || true
	python3 "$here/compare.py" "$capture" fields.json verify.json || fail "$capture is read in two ways"
done

# Messages that lie across segments anyhow, on a port that says nothing, and one that is none.
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
printf 'ok: %s captures, and odd segments\n' "${#captures[@]}"
