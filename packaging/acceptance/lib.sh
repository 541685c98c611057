# Library of the acceptance scripts. A script sources it first; it ends the script at the first
# command that fails, as set -e does.

set -euo pipefail
readonly script=${0##*/}
root=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
readonly root acceptance=$root/packaging/acceptance

checks=0 failures=0
work= agent= pids=()

# --- Results

stage() { printf '\n=== %s (%ss)\n' "$*" "$SECONDS"; }
ok() { printf 'ok    %s\n' "$*"; }

# fail WHAT: reports a failed check and the end of the agent's log, and ends the script.
fail() {
	printf 'FAIL  %s\n' "$*"
	[ ! -s "$work/log" ] || tail -n 20 "$work/log"
	exit 1
}

# die WHY: ends a script that cannot run.
die() {
	printf '%s: %s\n' "$script" "$*" >&2
	exit 1
}

# quietly COMMAND...: runs the command and shows its output if it fails.
quietly() {
	local out
	out=$("$@" 2>&1) || { printf '%s\n' "$out" >&2; return 1; }
}

# check WHAT COMMAND...: counts and reports a check, with the command's output if it fails. The
# script continues; it must end with conclude.
check() {
	local what=$1 out
	shift
	checks=$((checks + 1))
	if out=$("$@" 2>&1); then
		ok "$what"
	else
		failures=$((failures + 1))
		printf 'FAIL  %s: %s\n%s\n' "$what" "$*" "$(tail -n 60 <<<"$out" | sed 's/^/      /')"
	fi
}

conclude() {
	stage "done: $checks checks, $failures failed"
	[ "$failures" = 0 ]
}

# --- Conditions, for check and within

# not COMMAND...: succeeds if the command fails.
not() { ! "$@"; }

# says PATTERN COMMAND...: succeeds if the command does and prints a line that matches.
says() { fails 0 "$@"; }

# fails CODE PATTERN COMMAND...: succeeds if the command exits with the code and prints a line
# that matches.
fails() {
	local code=$1 pattern=$2 out got=0
	shift 2
	out=$("$@" 2>&1) || got=$?
	if [ "$got" != "$code" ] || ! grep -qE -- "$pattern" <<<"$out"; then
		printf '%s\n(exit %s; want exit %s and: %s)\n' "$out" "$got" "$code" "$pattern"
		return 1
	fi
}

# within SECONDS COMMAND...: retries the command until it succeeds or the time is over.
within() {
	local deadline=$((SECONDS + $1)) out
	shift
	while ! out=$("$@" 2>&1); do
		[ "$SECONDS" -lt "$deadline" ] || { printf '%s\n' "$out"; return 1; }
		sleep 0.1
	done
}

same() { [ "$1" = "$2" ] || { printf 'got %s, want %s\n' "$1" "$2"; return 1; }; }
differ() { [ "$1" != "$2" ] || { printf 'got %s again\n' "$1"; return 1; }; }

# --- What a script needs, and what it leaves

require_root() { [ "$(id -u)" = 0 ] || die "needs root, $*"; }

# require COMMAND...: ends the script unless each command is installed.
require() {
	local command
	for command; do
		command -v "$command" >/dev/null || die "$command is missing; install its package"
	done
}

# programs [FOLDER]: sets $bin to the folder with stepagent and stepctl, bin by default.
programs() {
	bin=$(realpath "${1:-$root/bin}")
	[ -x "$bin/stepagent" ] && [ -x "$bin/stepctl" ] ||
		die "$bin has no stepagent and stepctl; run: go build -o bin/ ./agent/cmd/..."
}

# workdir [PARENT]: makes the folder $work. When the script ends, the agent and the processes in
# $pids are stopped, its function cleanup is called with the exit status, if it has one, and the
# folder is removed.
workdir() {
	work=$(mktemp -d "${1:-/tmp}/stepagent-${script%.sh}.XXXXXX")
	trap 'finish $?' EXIT
	trap 'exit 130' INT TERM
}

finish() {
	set +e
	stop_all
	! declare -F cleanup >/dev/null || cleanup "$1"
	rm -rf "$work"
	exit "$1"
}

# stop_all: stops the agent and the processes in $pids, however they end.
stop_all() {
	local pid
	for pid in $agent "${pids[@]}"; do
		kill "$pid" && wait "$pid"
	done 2>/dev/null
	agent= pids=()
}

# --- The agent

# serve LOG COMMAND...: starts the command, a "stepagent serve" with --log-format text, with
# stderr in the file LOG, and waits until it listens. It sets $agent to the process and $port.
serve() {
	local log=$1 deadline=$((SECONDS + 60))
	shift
	: >"$log"
	"$@" 2>"$log" &
	agent=$! port=
	while [ -z "$port" ]; do
		kill -0 "$agent" 2>/dev/null && [ "$SECONDS" -lt "$deadline" ] ||
			fail "the agent does not start: $(tail -n 20 "$log")"
		sleep 0.05
		port=$(sed -n 's/.*msg="agent started" address=[^ ]*:\([0-9]*\) .*/\1/p' "$log")
	done
}

# start_agent ARGUMENT...: serves on a free port of 127.0.0.1, with stderr in $work/log. Commands of
# the script find the agent by $RUNTIME_DIRECTORY.
start_agent() {
	export RUNTIME_DIRECTORY=$work
	serve "$work/log" "$bin/stepagent" serve --host 127.0.0.1 --port 0 --log-format text "$@"
}

# stop_agent: stops the agent, which must exit with 0.
stop_agent() {
	kill -TERM "$agent"
	wait "$agent" || fail "the agent ended with $?"
	agent=
}

# procedure ROUNDS: prints a procedure: the steps 1 to 10, ROUNDS times, and step 1 once more.
procedure() {
	local steps
	steps=$(for _ in $(seq "$1"); do printf '{"step_id":%s,"timeout":5},' 1 2 3 4 5 6 7 8 9 10; done)
	printf '{"test_services":[%s{"step_id":1,"timeout":5}]}' "$steps"
}

# --- Browsers

# axe: gets axe-core, which checks accessibility, from the registry of npm, as axe.min.js. It also requires a
# font for the Korean pages.
axe() {
	local version=axe-core@4.14.1
	local sum=e63e659f9806d7ae5bd40899043b0871a5062c5442b01b3f1a3edf5eaf50bf5c3a7104a72463293b4ad1b77c661a0d4e40e850dec89de9d6ece70a8c13a9af17
	require npm
	[ -n "$(fc-list :lang=ko)" ] || die "no font has Korean; install the package fonts-nanum"
	quietly npm pack --silent "$version"
	tar -xzf axe-core-*.tgz --strip-components 1 package/axe.min.js
	sha512sum --check --quiet <<<"$sum  axe.min.js" || fail "axe-core is not the version that was reviewed"
}

# --- Hosts

# connect_hosts DEVICE HOST HOST: makes two network namespaces and joins them by a veth pair, the
# ends of which are both called DEVICE.
connect_hosts() {
	local host
	for host in "$2" "$3"; do
		ip netns add "$host"
		ip -n "$host" link set lo up
	done
	ip link add "$1" netns "$2" type veth peer name "$1" netns "$3"
	for host in "$2" "$3"; do ip -n "$host" link set "$1" up; done
}

remove_hosts() {
	local host
	for host; do ip netns delete "$host" 2>/dev/null || true; done
}

# capture HOST FILE ARGUMENT...: runs tcpdump on a host, waits until it captures, and sets $dump.
capture() {
	local host=$1 file=$2
	shift 2
	: >"$file.log"
	ip netns exec "$host" tcpdump -Z root -U -w "$file" "$@" 2>"$file.log" &
	dump=$!
	within 10 grep -q 'listening on' "$file.log" || fail "tcpdump does not start: $(cat "$file.log")"
}
