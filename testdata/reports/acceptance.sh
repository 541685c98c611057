#!/usr/bin/env bash
# Makes reports as a user does and looks at them with the tools of their readers:
#
#     acceptance.sh PATH-OF-STEPAGENT PATH-OF-STEPCTL [FOLDER-FOR-PICTURES]
#
# JUnit XML goes through a schema validator, pages through a real browser (look.py). Needs
# xmllint, python3 and chromium.
set -euo pipefail
stepagent=$(realpath "$1")
stepctl=$(realpath "$2")
pictures=${3:-}
here=$(realpath "$(dirname "$0")")
schema=$here/../../agent/internal/client/report/junit/testdata/junit.xsd

dir=$(mktemp -d /tmp/reports-XXXXXX)
agent=
cleanup() {
	[ -z "$agent" ] || kill "$agent" 2>/dev/null || true
	rm -rf "$dir"
}
trap cleanup EXIT
[ -n "$pictures" ] || pictures=$dir/pictures
export RUNTIME_DIRECTORY=$dir HOME=$dir

fail() {
	printf 'FAIL: %s\n' "$*"
	tail -n 20 "$dir/log"
	exit 1
}

cat >"$dir/agent.toml" <<'TOML'
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
step_id = 4
fault = "reset"
[[validators.settings.plan]]
step_id = 5
fault = "duplicate"
[[validators.settings.plan]]
step_id = 6
fault = "wrong_id"
wrong_step_id = 66
[[validators.settings.plan]]
step_id = 7
fault = "withhold"
TOML
cat >"$dir/mixed.steps" <<'JSON'
{"test_services": [
  {"step_id": 1, "timeout": 0.8, "interval": 0.2}, {"step_id": 2, "timeout": 0.3, "interval": 0.3},
  {"step_id": 100, "timeout": 0.8, "interval": 0.1}, {"step_id": 4, "timeout": 0.8, "interval": 0.2},
  {"step_id": 5, "timeout": 0.8, "interval": 0.1}, {"step_id": 6, "timeout": 0.8, "interval": 0.1},
  {"step_id": 7, "timeout": 0.3, "interval": 0.1}, {"step_id": 8, "timeout": 60, "interval": 0.1},
  {"step_id": 9, "timeout": 0.05, "interval": 0}, {"step_id": 10, "timeout": 1, "interval": 0}]}
JSON
printf '{"test_services":[%s{"step_id":1,"timeout":5}]}' \
	"$(for _ in $(seq 99); do for id in 1 2 3 4 5 6 7 8 9 10; do printf '{"step_id":%s,"timeout":5},' "$id"; done; done)" |
	sed 's/"step_id":9,/"step_id":90,/7' >"$dir/long.steps"
printf '{"test_services":[{"step_id":1,"timeout":5}]}' >"$dir/short.steps"

start() { # what else serve is told; sets agent and port
	[ -z "$agent" ] || { kill "$agent"; wait "$agent" || true; }
	"$stepagent" serve --host 127.0.0.1 --port 0 --log-format text "$@" 2>"$dir/log" &
	agent=$!
	port=
	for _ in $(seq 100); do
		port=$(sed -n 's/.*msg="agent started" address=127.0.0.1:\([0-9]*\) .*/\1/p' "$dir/log")
		[ -z "$port" ] || return 0
		sleep 0.1
	done
	fail "the agent did not start"
}

cd "$dir"
pages=()
run() { # name, exit code, language, step file or what stands for it, more
	local name=$1 want=$2 lang=$3 code=0
	shift 3
	"$stepctl" run "$@" --host 127.0.0.1 --record "$name.jsonl" --html "$name.html" --lang "$lang" \
		--junit "$name.xml" --tap "$name.tap" --summary "$name.json" >/dev/null 2>&1 || code=$?
	[ "$code" = "$want" ] || fail "$name: exit code $code, want $want"
	code=0
	"$stepctl" report "$name.jsonl" --html again.html --lang "$lang" --junit again.xml --tap again.tap --json >again.json || code=$?
	[ "$code" = "$want" ] || fail "$name: stepctl report: exit code $code, want $want"
	for kind in html xml tap json; do
		cmp "$name.$kind" "again.$kind" || fail "$name.$kind is another one from the record"
	done
	xmllint --nonet --noout --schema "$schema" "$name.xml" || fail "$name.xml is not valid"
	pages+=("$name.html=$name.json")
}
start --config agent.toml
run mixed 1 en mixed.steps --port "$port"
run mixed-ko 1 ko mixed.steps --port "$port"
start
run passed 0 en short.steps --port "$port"
run unreached 3 ko short.steps --port 1
# A session has ten steps, and 991 steps have many sessions.
run long 1 en long.steps --port "$port" # one of its steps has a wrong id
# Of a very long procedure the page shows those steps that did not pass, and the rest in stretches.
python3 - <<'PY'
import json
for name, wrong in ("some", 1000), ("half", 2):
    steps = [{"step_id": 90 if i % wrong == 1 else i % 10 + 1, "timeout": 5} for i in range(40000)]
    json.dump({"test_services": steps}, open(f"{name}.steps", "w"))
PY
run some 1 ko some.steps --port "$port"
run half 1 en half.steps --port "$port"

# The agent's own record, joined: the parts of each reply add up to what the client waited.
cat agent.toml >record.toml
printf '[record]\nenabled = true\ndir = "%s/record"\n' "$dir" >>record.toml
sed -i 's/^allow_faults = true$//; 1i allow_faults = true' record.toml
start --config record.toml
"$stepctl" run mixed.steps --host 127.0.0.1 --port "$port" --record joined.jsonl >/dev/null 2>&1 || true
kill "$agent" && wait "$agent" || true
agent=
for lang in en ko; do
	"$stepctl" report joined.jsonl --agent-record record --html "joined-$lang.html" --lang "$lang" --summary joined.json >joined.txt || true
	pages+=("joined-$lang.html=joined.json")
done
grep -q '^where the time of [0-9]* replies went: link ' joined.txt || fail "the report does not say where the time went"
python3 - <<'PY' || fail "the parts do not add up"
import json
summary = json.load(open("joined.json"))
parts = ("link", "agent_queue", "validators", "agent", "fault")
whole = [s["agent"] for s in summary["steps"] if s.get("agent", {}).get("whole")]
assert len(whole) == summary["where"]["counted"] >= 6, summary["where"]
for step in whole + [summary["where"]]:
    assert abs(sum(step[p] for p in parts) - step["waited"]) < 1e-6, step
    assert step["validators"] > 0 and step["link"] >= 0, step
late = summary["steps"][1]
assert late["outcome"] == "timed_out" and late["agent"]["fault_kind"] == "late" and late["agent"]["fault"] > 0.3, late
assert all(s["agent"]["arrivals"] == 1 for s in summary["steps"] if "agent" in s)
PY

# A schema that finds nothing wrong anywhere would be no test.
sed 's/ type="[a-z_]*"//' mixed.xml >broken.xml
! xmllint --nonet --noout --schema "$schema" broken.xml 2>/dev/null || fail "the schema takes a failure without a type"

# The record of a client that was killed is evidence, too.
head -c -60 passed.jsonl >cut.jsonl
"$stepctl" report cut.jsonl --html cut.html --junit cut.xml --summary cut.json >/dev/null 2>cut.err && fail "a cut record passes"
grep -q 'the last line is cut off' cut.err || fail "a cut line is not told"
xmllint --nonet --noout --schema "$schema" cut.xml || fail "cut.xml is not valid"
pages+=(cut.html=cut.json)

python3 "$here/look.py" "$(command -v chromium)" "$pictures" "${pages[@]}" || fail "a page is not as it must be"
printf 'ok: %s pages\n' "${#pages[@]}"
