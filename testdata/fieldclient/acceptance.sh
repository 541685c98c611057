#!/usr/bin/env bash
# Points the old client at an agent: usage: acceptance.sh PATH-OF-STEPAGENT
#
# The verdicts must be those of the procedures, over one connection a step and over one for
# all, twice in a row, and for fifty clients of one address at once. What a client prints for
# step 10 of the failure procedure, which waits for a hundredth of a second, may be its own
# timeout on a busy machine; the agent's log has the true reason.
set -euo pipefail
stepagent=$(realpath "$1")
cd "$(dirname "$0")"

dir=$(mktemp -d /tmp/fieldclient-XXXXXX)
: >"$dir/log"
agent=
cleanup() {
	[ -z "$agent" ] || kill "$agent" 2>/dev/null || true
	rm -rf "$dir"
}
trap cleanup EXIT

fail() {
	printf 'FAIL: %s\n' "$*"
	tail -n 20 "$dir/log"
	exit 1
}

export RUNTIME_DIRECTORY=$dir
"$stepagent" serve --host 127.0.0.1 --port 0 --log-format text 2>"$dir/log" &
agent=$!
port=
for _ in $(seq 100); do
	port=$(sed -n 's/.*msg="agent started" address=127.0.0.1:\([0-9]*\) .*/\1/p' "$dir/log")
	[ -z "$port" ] || break
	sleep 0.1
done
[ -n "$port" ] || fail "the agent did not start"

client() { python3 field_client.py --port "$port" "$@"; }

success=$(printf 'step %s: OK\n' 1 2 3 4 5 6 7 8 9 10)
failure=$(printf 'step %s\n' '1: OK' '2: OK' '100: NOK out_of_order' '4: OK' '5: OK' '6: OK' '7: OK' '8: OK' \
	'9: NOK timeout_too_short' '10: NOK timeout_too_short')
settle() { sed 's/^step 10: NOK timeout$/step 10: NOK timeout_too_short/'; }

expect() { # what, wanted, got
	[ "$2" = "$3" ] || fail "$1:
$3
want:
$2"
	printf 'ok: %s\n' "$1"
}

for round in first second; do
	for how in "" --persistent; do
		expect "success, $round time ${how:-one connection a step}" "$success" "$(client --data success --interval-scale 0.1 $how || true)"
		expect "failure, $round time ${how:-one connection a step}" "$failure" "$(client --data failure --interval-scale 0.1 $how | settle || true)"
	done
done

# Fifty at once keep the intervals that they declare, and do not begin together. One in five
# performs the sound procedure; one more keeps a connection open meanwhile.
before=$(wc -l <"$dir/log")
pids=()
for n in $(seq 50); do
	data=failure
	[ $((n % 5)) -ne 0 ] || data=success
	{
		sleep "0.0$((n % 10))$((n % 7))"
		client --data $data | settle >"$dir/$n.$data" || true
	} &
	pids+=($!)
done
client --data failure --persistent | settle >"$dir/51.failure" || true
wait "${pids[@]}"
for file in "$dir"/*.success; do expect "one of fifty at once: $(basename "$file")" "$success" "$(cat "$file")"; done
for file in "$dir"/*.failure; do expect "one of fifty at once: $(basename "$file")" "$failure" "$(cat "$file")"; done

# A client that has given up may be gone before its last step is judged: stop the agent first,
# which finishes what is in flight.
kill -TERM "$agent"
wait "$agent" || fail "the agent ended with $?"
agent=

count() { tail -n "+$((before + 1))" "$dir/log" | grep -c "$1" || true; }
expect "steps out of order" 41 "$(count 'msg="step failed".*step_id=100 .*reason=out_of_order')"
expect "timeouts too short" 82 "$(count 'msg="step failed".*reason=timeout_too_short')"
expect "steps failed in all" 123 "$(count 'msg="step failed"')"
# Which of two clients at the same step at the same moment is which, nobody can tell, so that
# the tallies of their sessions may be mixed; but each session is whole.
expect "sessions that ended" 51 "$(count 'msg="session ended".* steps=10 of=10 ')"
expect "sessions in all" 51 "$(count 'msg="session ended"')"
printf 'the field client is served\n'
