#!/usr/bin/env bash
# The agent's own record on a disk that is full: fulldisk.sh PATH-OF-STEPAGENT PATH-OF-STEPCTL
#
# A small tmpfs is filled while the agent records. Judging goes on, the status says what is
# the matter, and the record goes on when there is room again. Needs root.
set -euo pipefail
stepagent=$(realpath "$1")
stepctl=$(realpath "$2")
dir=$(mktemp -d /tmp/fulldisk-XXXXXX)
agent=
cleanup() {
	[ -z "$agent" ] || { kill "$agent" && wait "$agent"; } 2>/dev/null || true
	umount "$dir/disk" 2>/dev/null || true
	rm -rf "$dir"
}
trap cleanup EXIT
fail() {
	printf 'FAIL: %s\n' "$*"
	tail -n 20 "$dir/log"
	exit 1
}
mkdir "$dir/disk"
mount -t tmpfs -o size=4m tmpfs "$dir/disk"
export RUNTIME_DIRECTORY=$dir HOME=$dir
cat >"$dir/agent.toml" <<TOML
[record]
enabled = true
dir = "$dir/disk/record"
file_mib = 1
total_mib = 2
TOML
cd "$dir"
"$stepagent" serve --config agent.toml --host 127.0.0.1 --port 0 --log-format text 2>log &
agent=$!
port=
for _ in $(seq 100); do
	port=$(sed -n 's/.*msg="agent started" address=127.0.0.1:\([0-9]*\) .*/\1/p' log)
	[ -z "$port" ] || break
	sleep 0.1
done
[ -n "$port" ] || fail "the agent did not start"
printf '{"test_services":[%s{"step_id":1,"timeout":5}]}' \
	"$(for _ in $(seq 60); do for id in 1 2 3 4 5 6 7 8 9 10; do printf '{"step_id":%s,"timeout":5},' "$id"; done; done)" >steps
run() { "$stepctl" run steps --host 127.0.0.1 --port "$port" --record "$1" >/dev/null || fail "$1: a step did not pass"; }
status() { "$stepagent" status --port "$port"; }

for n in $(seq 12); do run "run$n.jsonl"; done # some 3 MiB of events
kilobytes=$(du -sk disk/record | cut -f1)
[ "$kilobytes" -le 2048 ] && [ "$kilobytes" -gt 512 ] || fail "the record takes $kilobytes KiB, its bound is 2048"
status >sound.txt
grep -q '^record .*steps-.* 0 dropped$' sound.txt || fail "the status is not that of a sound record: $(cat sound.txt)"

head -c 8M /dev/zero >disk/ballast 2>/dev/null || true # until it is full
run full.jsonl
code=0
status >full.txt || code=$?
[ "$code" -eq 3 ] || fail "the status of a degraded agent ends with $code"
grep -q '^record .*NOT WRITTEN since .*no space left on device; .* [1-9][0-9]* dropped$' full.txt || fail "the status hides a full disk: $(cat full.txt)"
grep -q '^health .*degraded: the record is not written' full.txt || fail "the health hides a full disk: $(cat full.txt)"
grep -q 'msg="the record cannot be written; judging goes on without it"' log || fail "the log hides a full disk"

rm disk/ballast
for _ in $(seq 150); do # it tries every 5 s
	status >again.txt || true # degraded
	grep -q '^health .*good$' again.txt && break
	sleep 0.1
done
run again.jsonl
status >again.txt
grep -q '^record .*steps-' again.txt || fail "the record does not go on: $(cat again.txt)"
kill "$agent" && wait "$agent" || true
agent=
grep -q '"event":"dropped".*no space left on device' disk/record/*.jsonl || fail "the record does not tell of its gap"
"$stepctl" report again.jsonl --agent-record disk/record >report.txt && grep -q '^where the time of 601 replies went' report.txt ||
	fail "the record after the gap cannot be read"
printf 'ok: a full disk costs events and nothing else\n'
