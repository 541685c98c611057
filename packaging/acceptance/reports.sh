#!/usr/bin/env bash
# reports.sh [FOLDER [PICTURES]]: makes reports of runs and checks them with the tools of their
# readers: JUnit XML with a schema validator, pages with a browser (pages.py). FOLDER holds the
# programs, bin by default; PICTURES is a folder for screenshots. Needs xmllint, python3 and chromium.
. "$(dirname "$0")/lib.sh"
require xmllint python3 chromium
programs "${1-}"
workdir
readonly pictures=${2:-$work/pictures}
readonly schema=$root/agent/internal/client/report/junit/testdata/junit.xsd
cd "$work"
export HOME=$work

sed 's/"step_id": 3,/"step_id": 100,/' "$acceptance/data/faults.json" >mixed.steps
procedure 99 | sed 's/"step_id":9,/"step_id":90,/7' >long.steps
printf '{"test_services":[{"step_id":1,"timeout":5}]}' >short.steps

valid() { xmllint --nonet --noout --schema "$schema" "$1"; }
pages=()
run() { # name, exit code, language, arguments of stepctl run
	local name=$1 want=$2 lang=$3 code=0
	shift 3
	"$bin/stepctl" run "$@" --host 127.0.0.1 --record "$name.jsonl" --html "$name.html" --lang "$lang" \
		--junit "$name.xml" --tap "$name.tap" --summary "$name.json" >/dev/null 2>&1 || code=$?
	[ "$code" = "$want" ] || fail "$name: exit code $code, want $want"
	code=0
	"$bin/stepctl" report "$name.jsonl" --html again.html --lang "$lang" --junit again.xml --tap again.tap --json >again.json || code=$?
	[ "$code" = "$want" ] || fail "$name: stepctl report: exit code $code, want $want"
	for kind in html xml tap json; do
		cmp "$name.$kind" "again.$kind" || fail "$name.$kind differs from the report of the record"
	done
	valid "$name.xml" || fail "$name.xml is not valid"
	pages+=("$name.html=$name.json")
}
start_agent --config "$acceptance/data/faults.toml"
run mixed 1 en mixed.steps --port "$port"
run mixed-ko 1 ko mixed.steps --port "$port"
# Several boards: one page of all, and the page of each board behind it.
for lang in en ko; do
	code=0
	"$bin/stepctl" run mixed.steps --board "a=127.0.0.1:$port" --board "b.lab=localhost:$port" --board gone=127.0.0.1:1 --lang "$lang" \
		--html "lab-$lang.html" --junit lab.xml --tap lab.tap --summary "lab-$lang.json" >/dev/null 2>&1 || code=$?
	[ "$code" = 1 ] || fail "several boards: exit code $code, want 1"
	valid lab.xml || fail "lab.xml is not valid"
	pages+=("lab-$lang.html=lab-$lang.json")
done
stop_agent
start_agent
run passed 0 en short.steps --port "$port"
run unreached 3 ko short.steps --port 1
# A session has ten steps, so that a run of 991 steps has many sessions.
run long 1 en long.steps --port "$port" # one of its steps has a wrong id
# The page of a very long procedure shows the steps that did not pass, and the others as ranges.
python3 - <<'PY'
import json
for name, wrong in ("some", 1000), ("half", 2):
    steps = [{"step_id": 90 if i % wrong == 1 else i % 10 + 1, "timeout": 5} for i in range(40000)]
    json.dump({"test_services": steps}, open(f"{name}.steps", "w"))
PY
run some 1 ko some.steps --port "$port"
run half 1 en half.steps --port "$port"
stop_agent

# Joined with the agent's record, the parts of each reply add up to the time that the client waited.
{
	printf 'record = { enabled = true, dir = "%s/record" }\n' "$work"
	cat "$acceptance/data/faults.toml"
} >record.toml
start_agent --config record.toml
"$bin/stepctl" run mixed.steps --host 127.0.0.1 --port "$port" --record joined.jsonl >/dev/null 2>&1 || true
stop_agent
for lang in en ko; do
	"$bin/stepctl" report joined.jsonl --agent-record record --html "joined-$lang.html" --lang "$lang" --summary joined.json >joined.txt || true
	pages+=("joined-$lang.html=joined.json")
done
grep -q '^where the time of [0-9]* replies went: link ' joined.txt || fail "the report does not say where the time went"
python3 - <<'PY' || fail "the parts do not add up"
import json
summary = json.load(open("joined.json"))
parts = ("link", "agent_queue", "validators", "agent", "fault", "away")
whole = [s["agent"] for s in summary["steps"] if s.get("agent", {}).get("whole")]
assert len(whole) == summary["where"]["counted"] >= 6, summary["where"]
for step in whole + [summary["where"]]:
    assert abs(sum(step[p] for p in parts) - step["waited"]) < 1e-6, step
    assert step["validators"] > 0 and step["link"] >= 0, step
late = summary["steps"][1]
assert late["outcome"] == "timed_out" and late["agent"]["fault_kind"] == "late" and late["agent"]["fault"] > 0.3, late
for step in summary["steps"]:  # the one whose reply was a reset is sent again
    assert "agent" not in step or step["agent"]["arrivals"] == 1 + (step["step_id"] == 4), step
PY

# The schema must find an error.
sed 's/ type="[a-z_]*"//' mixed.xml >broken.xml
! valid broken.xml 2>/dev/null || fail "the schema accepts a failure without a type"

# A record that ends in the middle of a line, as that of a killed client, gives a report.
head -c -60 passed.jsonl >cut.jsonl
"$bin/stepctl" report cut.jsonl --html cut.html --junit cut.xml --summary cut.json >/dev/null 2>cut.err && fail "a cut record passes"
grep -q 'the last line is cut off' cut.err || fail "the cut line is not reported"
valid cut.xml || fail "cut.xml is not valid"
pages+=(cut.html=cut.json)

python3 "$acceptance/pages.py" "$(command -v chromium)" "$pictures" "${pages[@]}" || fail "a page is not as required"
ok "${#pages[@]} pages"
