#!/usr/bin/env bash
# Uses stepctl load against an agent as docs/performance.md says: usage: acceptance.sh BIN-FOLDER
# It takes ten seconds and needs nothing but the two programs.
set -euo pipefail
bin=$(realpath "$1")
dir=$(mktemp -d /tmp/load-XXXXXX)
agent=
cleanup() {
	[ -z "$agent" ] || kill "$agent" 2>/dev/null || true
	rm -rf "$dir"
}
trap cleanup EXIT
export RUNTIME_DIRECTORY=$dir

fail() {
	printf 'FAIL: %s\n' "$*"
	tail -n 20 "$dir/log"
	exit 1
}

start() { # the port, 0 for a free one
	: >"$dir/log"
	"$bin/stepagent" serve --host 127.0.0.1 --port "$1" --log-format text 2>"$dir/log" &
	agent=$!
	for _ in $(seq 200); do
		port=$(sed -n 's/.*msg="agent started" address=127\.0\.0\.1:\([0-9]*\).*/\1/p' "$dir/log")
		[ -n "$port" ] && return
		sleep 0.05
	done
	fail "the agent does not start"
}

load() { # what, arguments of stepctl load
	local what=$1
	shift
	said=$("$bin/stepctl" load --host 127.0.0.1 --port "$port" "$@") || fail "$what: $said"
	printf 'ok: %s: %s\n' "$what" "$(grep steps <<<"$said" | head -n 1 | xargs)"
}

start 0
load "closed loop" --clients 64 --duration 1s
load "at a rate" --clients 64 --duration 1s --rate 500
load "a procedure with mistakes" --clients 16 --duration 1s --data failure
load "a connection for each step" --clients 16 --duration 1s --reconnect
load "a connection for each session" --clients 16 --duration 1s --reconnect=session
load "thousands of clients" --clients 2000 --duration 1s --wait 30

# An agent with other rules is found out.
kill "$agent" && wait "$agent"
printf 'host = "127.0.0.1"\n[[validators]]\nname = "sequence"\nsettings = {first = 2, last = 11}\n' >"$dir/other.toml"
STEPAGENT_CONFIG=$dir/other.toml start 0
if said=$("$bin/stepctl" load --host 127.0.0.1 --port "$port" --clients 1 --duration 300ms); then
	fail "wrong verdicts passed: $said"
fi
grep -q '^wrong: wrong_verdict' <<<"$said" || fail "wrong verdicts are not shown: $said"
printf 'ok: wrong verdicts are found\n'
