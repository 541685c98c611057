#!/usr/bin/env bash
# durable.sh [FOLDER]: sessions that survive: runs of stepctl through kills, stops and an agent that is
# away, full, read-only and failing disks, power cuts, reboots, two agents on one folder, damaged files and
# those of a newer version. The disks are small file systems on loop devices, whose power cut is the ioctl
# of ext4 that shuts them down. FOLDER holds the programs, bin by default. Needs root, mkfs.ext4 and python3.
. "$(dirname "$0")/lib.sh"
require_root "to mount file systems"
require mkfs.ext4 python3 unshare losetup
programs "${1-}"
workdir
cleanup() { umount disk 2>/dev/null || true; }
cd "$work"
export HOME=$work
unset "${!STEPCTL_@}"

# --- The disk, the agent and its clients

# disk_mount: mounts the disk. A file system that was not unmounted recovers from its log, as at a boot.
disk_mount() { mount -o loop,errors=remount-ro disk.img disk; }
disk_make() {
	umount disk 2>/dev/null || true
	rm -f disk.img
	truncate -s 16M disk.img
	mkfs.ext4 -q -m 0 disk.img
	disk_mount
}

config() { # LEVEL [STEPS]
	cat >agent.toml <<TOML
[session]
steps = ${2:-10}
survives = "$1"
dir = "$work/disk/sessions"
idle_timeout = "1h"
resume_window = "1h"
TOML
}

# begin_agent [WRAPPER...]: starts the agent on the port that it had before.
begin_agent() {
	export RUNTIME_DIRECTORY=$work
	serve log "$@" "$bin/stepagent" serve --config agent.toml --host 127.0.0.1 --port "${port:-0}" --log-format text
}
kill_agent() {
	kill -KILL "$agent"
	wait "$agent" 2>/dev/null || true
	agent=
}
again() { # restarts the agent after SIGKILL
	kill_agent
	begin_agent
}
# refuses PATTERN: an agent is started, and ends with a sentence that matches.
refuses() { fails 1 "$1" timeout 20 "$bin/stepagent" serve --config agent.toml --host 127.0.0.1 --port "${port:-0}" --log-format text; }

# booted ID COMMAND...: runs the command as after a reboot: the kernel has another boot id.
booted() {
	printf '%s\n' "$1" >boot_id
	# shellcheck disable=SC2016 # the inner shell expands it
	exec unshare --mount sh -c 'mount --bind boot_id /proc/sys/kernel/random/boot_id && exec "$@"' sh "${@:2}"
}

client() { python3 "$acceptance/durable.py" "$@"; }
stepctl() { "$bin/stepctl" "$@"; }
status() { "$bin/stepagent" status --port "$port" "$@"; }
sessions() { "$bin/stepagent" sessions --port "$port" "$@"; }
position() { # NAME: prints the position of an open session
	sessions --json | python3 -c 'import json, sys; print(*(s["position"] for s in json.load(sys.stdin) if s["id"] == sys.argv[1]))' "$1"
}

plugin() { # prints the process of the validators
	"$bin/stepagent" validators --port "$port" --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["pid"])'
}

steps() { # COUNT INTERVAL [TIMEOUT]: prints a procedure
	local i
	printf '{"test_services": [\n'
	for i in $(seq "$1"); do printf '  {"step_id": %s, "timeout": %s, "interval": %s}%s\n' "$i" "${3:-5}" "$2" "$([ "$i" = "$1" ] || echo ,)"; done
	printf ']}\n'
}
run() { # NAME OPTION...: begins a run in the background, and waits until its third step has passed
	local name=$1
	shift
	stepctl run slow.json --host 127.0.0.1 --port "$port" --record "$name.jsonl" --session "$name" "$@" >"$name.txt" 2>"$name.log" &
	running=$!
	pids+=("$running")
	within 20 grep -q 'step 3: ok' "$name.txt" || fail "the run does not begin: $(cat "$name.txt" "$name.log")"
}
# finish_run NAME: waits for the run. $code is how it ends, and NAME.out what it says.
finish_run() {
	code=0
	wait "$running" || code=$?
	cat "$1.txt" "$1.log" >"$1.out"
}
# ends CODE NAME PATTERN: the run that is finished has ended with the code, and says so.
ends() {
	[ "$code" = "$1" ] && grep -qE -- "$3" "$2.out" && return
	printf 'exit %s\n' "$code"
	cat "$2.out"
	return 1
}

steps 10 0.3 >slow.json
mkdir disk

# --- Runs

stage "a run, and an agent that is killed"
disk_make
config restart
begin_agent
run killed
kill_agent
sleep 1
begin_agent
check "a session is there again" within 10 says '^killed .* yes' sessions
finish_run killed
check "the run passes, and says how long the agent was away" ends 0 killed 'pass.*(away|connected again|reconnected)'
check "its record says so" grep -q '"event":"again"' killed.jsonl
check "its report says so" says 'away|connected again|reconnected' stepctl report killed.jsonl
check "its page says so" eval 'stepctl report killed.jsonl --html killed.html && grep -qE "away|connected again|reconnected" killed.html'

stage "a run without retries"
run once --no-retry
kill_agent
finish_run once
begin_agent
check "the steps fail" ends 1 once 'cannot be reached'
check "its record has no retry" not grep -q '"event":"again"' once.jsonl

stage "an agent that is stopped"
run stopped
stop_agent
check "the agent says what becomes of its sessions" grep -qE 'session.* (go|goes) on' log
sleep 0.5
begin_agent
finish_run stopped
check "the run passes" ends 0 stopped 'pass'

stage "an agent that is killed at each step, and its plugin"
run often
for _ in 1 2 3 4; do
	kill -KILL "$(plugin)" || true
	again
	sleep 0.4
done
finish_run often
check "the run passes" ends 0 often 'pass'

stage "a session that is open"
client steps "$port" open 0 3 >/dev/null || fail "the steps did not pass"
for n in 1 2 3; do again; done
check "it is at its position" same "$(position open)" 3
check "it is ended" "$bin/stepagent" sessions end open --port "$port"
again
check "it stays so" same "$(position open)" ""
check "the store is shown" says '^store .*restart in ' status
stop_agent

# --- The folder

stage "one folder"
begin_agent
client steps "$port" kept 0 4 >/dev/null || fail "the steps did not pass"
check "it is for the agent alone" same "$(stat -c %a disk/sessions) $(find disk/sessions -type f ! -perm 600)" "700 "
first=$agent kept=$port
port=0 RUNTIME_DIRECTORY=$work/second
mkdir -p "$RUNTIME_DIRECTORY"
check "a second agent is refused, and the first is named" refuses "(process|pid) $first"
export RUNTIME_DIRECTORY=$work
port=$kept
check "the first goes on" client steps "$port" kept 4 2
kill_agent

newest() { find disk/sessions -name 'log-*' | sort -V | tail -n 1; }
overwrite() { printf '%b' "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; } # FILE OFFSET BYTES

stage "a damaged file"
file=$(newest)
overwrite "$file" $(($(stat -c %s "$file") / 2)) '\0377\0376\0375\0374'
begin_agent
check "the agent starts, and says so" grep -qE 'damaged' log
check "the file is kept" within 5 eval 'ls disk/sessions/*.damaged'
check "status names it" says 'damaged' status
check "steps pass" client steps "$port" after 0 3
stop_agent

stage "a file of a newer version"
file=$(newest)
client newer "$file"
cp "$file" newer.log
begin_agent
check "the agent starts, and says so" grep -qE 'newer' log
check "the file is kept as it was" eval 'cmp newer.log disk/sessions/*.newer'
check "steps pass" client steps "$port" older 0 3
stop_agent

# --- Disks

stage "a full disk"
disk_make
config restart 1000
begin_agent
client steps "$port" full 0 3 >/dev/null || fail "the steps did not pass"
cat /dev/zero >disk/ballast 2>/dev/null || true # until it is full
check "steps are not taken" within 1 eval 'client until "$port" full 3 busy >reached 2>said'
check "the reply says why" grep -q 'no space left on device' said
check "status says so" fails 3 'no space left on device' status
check "the position is that of the last reply" same "$(position full)" "$(cat reached)"
steps 10 0.1 30 >slow.json
stepctl run slow.json --host 127.0.0.1 --port "$port" --session waits --record waits.jsonl >waits.txt 2>waits.log &
running=$!
pids+=("$running")
sleep 2
rm disk/ballast
finish_run waits
check "a run that waited passes" ends 0 waits 'pass'
check "and says so" grep -q '"cause":"busy"' waits.jsonl
check "the session goes on" client steps "$port" full "$(cat reached)" 5
check "status is good again" status
again
check "nothing is missing after a kill" same "$(position full)" $(($(cat reached) + 5))

stage "a disk that becomes read-only"
echo durable.sh >/sys/fs/ext4/"$(basename "$(findmnt -no SOURCE disk)")"/trigger_fs_error
at=$(position full)
check "steps are not taken" eval 'client until "$port" full "$at" busy >reached 2>said'
check "the reply says why" grep -q 'read-only file system' said
check "status says so" fails 3 'read-only file system' status
check "no step was taken" same "$(position full)" "$at"
kill_agent
check "an agent does not start there" refuses 'read-only file system'
umount disk
disk_mount
begin_agent
check "nothing is missing when it can be written" same "$(position full)" "$at"
check "and the session goes on" client steps "$port" full "$at" 3

stage "a disk that fails"
at=$(position full)
client cut disk
check "steps are not taken" client until "$port" full "$at" busy
check "status says so" fails 3 'input/output error' status
kill_agent
umount disk

# --- Power cuts

stage "power cuts under load"
disk_make
config power_cut 1000000
rm -f positions
for n in $(seq 12); do
	begin_agent
	[ "$n" = 1 ] || check "after cut $((n - 1)) nothing is missing" eval 'sessions --json | client compare positions'
	rm -f load.txt
	client load "$port" positions 32 disk "0.$((RANDOM % 8 + 1))" >load.txt 2>&1 &
	loading=$!
	pids+=("$loading")
	within 20 grep -q '^cut' load.txt || fail "no cut: $(cat load.txt)"
	kill_agent
	code=0
	wait "$loading" || code=$?
	[ "$code" = 0 ] || fail "a step got a wrong reply: $(cat load.txt)"
	umount disk
	disk_mount
done
ok "$(tail -n 1 load.txt)"

stage "reboots"
begin_agent
check "after the last cut nothing is missing" eval 'sessions --json | client compare positions'
kill_agent
begin_agent booted 11111111-1111-4111-8111-111111111111
check "nor after a reboot" eval 'sessions --json | client compare positions'
stop_agent
config restart 1000000
begin_agent booted 22222222-2222-4222-8222-222222222222
check "nor after a stop and a reboot" eval 'sessions --json | client compare positions'
kill_agent
begin_agent booted 33333333-3333-4333-8333-333333333333
check "after a kill and a reboot no session of the level restart is left" same "$(sessions --json)" "[]"
check "and the log says so" says '^1$' grep -c 'level=WARN.*session' log
check "and status" says 'dropped' status
stop_agent
conclude
