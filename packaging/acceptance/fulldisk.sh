#!/usr/bin/env bash
# fulldisk.sh [FOLDER]: fills the disk that the agent's record is on, a small tmpfs. The agent must
# keep judging and show the problem in its status, and must resume the record when space is freed.
# FOLDER holds the programs, bin by default. Needs root.
. "$(dirname "$0")/lib.sh"
require_root "to mount a tmpfs"
programs "${1-}"
workdir
cleanup() { umount "$work/disk" 2>/dev/null || true; }
cd "$work"
export HOME=$work

mkdir disk
mount -t tmpfs -o size=4m tmpfs disk
cat >agent.toml <<TOML
[record]
enabled = true
dir = "$work/disk/record"
file_mib = 1
total_mib = 2
TOML
procedure 60 >steps
start_agent --config agent.toml
run() { "$bin/stepctl" run steps --host 127.0.0.1 --port "$port" --record "$1" >/dev/null || fail "$1: a step did not pass"; }
status() { "$bin/stepagent" status --port "$port"; }

for n in $(seq 12); do run "run$n.jsonl"; done # about 3 MiB of events
kilobytes=$(du -sk disk/record | cut -f1)
[ "$kilobytes" -le 2048 ] && [ "$kilobytes" -gt 512 ] || fail "the record takes $kilobytes KiB, its bound is 2048"
status >sound.txt
grep -q '^record .*steps-.* 0 dropped$' sound.txt || fail "the status is not that of a sound record: $(cat sound.txt)"

head -c 8M /dev/zero >disk/ballast 2>/dev/null || true # until the disk is full
run full.jsonl
code=0
status >full.txt || code=$?
[ "$code" -eq 3 ] || fail "the status of a degraded agent ends with $code"
grep -q '^record .*NOT WRITTEN since .*no space left on device; .* [1-9][0-9]* dropped$' full.txt || fail "the status hides a full disk: $(cat full.txt)"
grep -q '^health .*degraded: the record is not written' full.txt || fail "the health hides a full disk: $(cat full.txt)"
grep -q 'msg="the record cannot be written; judging goes on without it"' log || fail "the log hides a full disk"

rm disk/ballast
healthy() { status | grep -q '^health .*good$'; }
within 15 healthy || true # the agent retries every 5 s
run again.jsonl
status >again.txt
grep -q '^record .*steps-' again.txt || fail "the record does not resume: $(cat again.txt)"
stop_agent
grep -q '"event":"dropped".*no space left on device' disk/record/*.jsonl || fail "the record has no event for its gap"
"$bin/stepctl" report again.jsonl --agent-record disk/record >report.txt && grep -q '^where the time of 601 replies went' report.txt ||
	fail "the record after the gap cannot be read"
ok "a full disk costs events and nothing else"
