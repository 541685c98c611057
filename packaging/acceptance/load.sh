#!/usr/bin/env bash
# load.sh [FOLDER]: runs stepctl load against an agent in the ways docs/performance.md shows. It
# takes ten seconds. FOLDER holds the programs, bin by default.
. "$(dirname "$0")/lib.sh"
programs "${1-}"
workdir

load() { # what, arguments of stepctl load
	local what=$1
	shift
	out=$("$bin/stepctl" load --host 127.0.0.1 --port "$port" "$@") || fail "$what: $out"
	ok "$what: $(grep steps <<<"$out" | head -n 1 | xargs)"
}

start_agent
load "closed loop" --clients 64 --duration 1s
load "at a rate" --clients 64 --duration 1s --rate 500
load "a procedure with mistakes" --clients 16 --duration 1s --data failure
load "a connection for each step" --clients 16 --duration 1s --reconnect
load "a connection for each session" --clients 16 --duration 1s --reconnect=session
load "thousands of clients" --clients 2000 --duration 1s --wait 30
stop_agent

printf 'host = "127.0.0.1"\n[[validators]]\nname = "sequence"\nsettings = {first = 2, last = 11}\n' >"$work/other.toml"
start_agent --config "$work/other.toml"
if out=$("$bin/stepctl" load --host 127.0.0.1 --port "$port" --clients 1 --duration 300ms); then
	fail "wrong verdicts passed: $out"
fi
grep -q '^wrong: wrong_verdict' <<<"$out" || fail "wrong verdicts are not shown: $out"
ok "verdicts by other rules count as wrong"
