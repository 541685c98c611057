#!/usr/bin/env bash
# fieldclient.sh [FOLDER]: runs the old client of testdata/fieldclient against an agent. The verdicts
# must be those of the procedures: over one connection a step and over one for all steps, twice in
# a row, and for fifty clients of one address at once. FOLDER holds the programs, bin by default.
#
# On a busy machine the client may report its own timeout for step 10 of the failure procedure, which
# waits for a hundredth of a second; the agent's log has the reason of the verdict.
. "$(dirname "$0")/lib.sh"
programs "${1-}"
workdir
start_agent

client() { python3 "$root/testdata/fieldclient/field_client.py" --port "$port" "$@" || true; }
any_reason() { sed 's/^step 10: NOK timeout$/step 10: NOK timeout_too_short/'; }

success=$(printf 'step %s: OK\n' 1 2 3 4 5 6 7 8 9 10)
failure=$(printf 'step %s\n' '1: OK' '2: OK' '100: NOK out_of_order' '4: OK' '5: OK' '6: OK' '7: OK' '8: OK' \
	'9: NOK timeout_too_short' '10: NOK timeout_too_short')

expect() { # what, want, got
	[ "$2" = "$3" ] || fail "$1:
$3
want:
$2"
	ok "$1"
}

for round in first second; do
	for mode in "" --persistent; do
		expect "success, $round time ${mode:-one connection a step}" "$success" "$(client --data success --interval-scale 0.1 $mode)"
		expect "failure, $round time ${mode:-one connection a step}" "$failure" "$(client --data failure --interval-scale 0.1 $mode | any_reason)"
	done
done

# The fifty keep their intervals and do not start at the same moment. One in five runs the success
# procedure; a 51st client keeps one connection open.
before=$(wc -l <"$work/log")
clients=()
for n in $(seq 50); do
	data=failure
	[ $((n % 5)) -ne 0 ] || data=success
	{
		sleep "0.0$((n % 10))$((n % 7))"
		client --data $data | any_reason >"$work/$n.$data"
	} &
	clients+=($!)
done
client --data failure --persistent | any_reason >"$work/51.failure"
wait "${clients[@]}"
for file in "$work"/*.success; do expect "one of fifty at once: $(basename "$file")" "$success" "$(cat "$file")"; done
for file in "$work"/*.failure; do expect "one of fifty at once: $(basename "$file")" "$failure" "$(cat "$file")"; done

# A client that timed out may exit before its last step is judged; a stop of the agent waits for
# requests in flight.
stop_agent

count() { tail -n "+$((before + 1))" "$work/log" | grep -c "$1" || true; }
expect "steps out of order" 41 "$(count 'msg="step failed".*step_id=100 .*reason=out_of_order')"
expect "timeouts too short" 82 "$(count 'msg="step failed".*reason=timeout_too_short')"
expect "failed steps" 123 "$(count 'msg="step failed"')"
# Two clients at the same step at the same moment cannot be told apart, so that the counts of
# failed steps may mix between sessions; each session is complete.
expect "completed sessions" 51 "$(count 'msg="session ended".* steps=10 of=10 ')"
expect "sessions" 51 "$(count 'msg="session ended"')"
