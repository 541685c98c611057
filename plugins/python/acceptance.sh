#!/usr/bin/env bash
# Installs the Python example as its README says and uses it: usage: acceptance.sh BIN-FOLDER
#
# It checks the example from outside, runs a procedure through it with stepctl, swaps it for
# another chain and back while the agent runs, and sees that it ends in time. It needs Debian's
# python3-grpcio, python3-protobuf and pycodestyle.
set -euo pipefail
bin=$(realpath "$1")
cd "$(dirname "$0")"

dir=$(mktemp -d /tmp/python-validator-XXXXXX)
chmod 755 "$dir"
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
ok() { printf 'ok: %s\n' "$*"; }

expect() { # what, pattern, text
	grep -Eq -- "$2" <<<"$3" || fail "$1: want $2 in
$3"
	ok "$1"
}

/usr/bin/python3 -W error -m unittest discover -t . -s tests 2>"$dir/unit" || { cat "$dir/unit"; fail "unit tests"; }
ok "unit tests: $(grep '^Ran' "$dir/unit")"
pycodestyle --exclude='*_pb2.py' . || fail "PEP 8"
ok "PEP 8"
if command -v protoc >/dev/null && [ "$(protoc --version)" = "libprotoc 3.21.12" ]; then
	protoc --proto_path=../sdk/proto/stepagent/validator/v1 --python_out="$dir" validator.proto
	cmp "$dir/validator_pb2.py" stepagent_validator/validator_pb2.py || fail "validator_pb2.py is behind the contract; run plugins/sdk/proto/generate.sh"
	ok "the messages are those of the contract"
fi

lib=$dir/lib
mkdir "$lib"
cp -r stepagent_validator template.py torque.py "$lib"

for program in "template.py" "torque.py --settings {\"newton_metres\":12.5} --data {\"torque\":12.4}"; do
	# shellcheck disable=SC2086 # the words of one command
	said=$("$bin/stepagent" validators check "$lib/"$program) || fail "conformance: $said"
	expect "conformance of ${program%% *}" ': sound$' "$said"
	expect "what ${program%% *} reads" '^ok +what it reads \((step_id|data); verdicts are kept\)$' "$said"
done
chmod 644 "$lib/template.py"
said=$("$bin/stepagent" validators check "$lib/template.py" 2>&1) && fail "a file that may not be executed passed"
expect "what is wrong with a file" 'is not executable; chmod 755' "$said"

config() { # the validators
	printf 'host = "127.0.0.1"\nport = 0\nlog.format = "text"\n[session]\nsteps = 3\n%s\n' "$1" >"$dir/agent.toml"
}
torque='[[validators]]
name = "torque"
path = "lib/torque.py"
settings = { newton_metres = 12.5, tolerance = 0.5, spread = 0.8 }'
sequence='[[validators]]
name = "sequence"'

config "$sequence
$torque"
said=$("$bin/stepagent" check-config "$dir/agent.toml") || fail "check-config: $said"
expect "check-config" 'sound, and its 2 validators serve' "$said"
config "${torque/newton_metres/newton_meters}"
said=$("$bin/stepagent" check-config "$dir/agent.toml" 2>&1) && fail "a wrong setting passed"
expect "a wrong setting has its place" 'agent.toml:[0-9]+:[0-9]+: validators\[0\].settings.newton_meters: unknown key' "$said"

config "$sequence"
export RUNTIME_DIRECTORY=$dir
"$bin/stepagent" serve --config "$dir/agent.toml" 2>"$dir/log" &
agent=$!
port=
for _ in $(seq 100); do
	port=$(sed -n 's/.*msg="agent started" address=127.0.0.1:\([0-9]*\) .*/\1/p' "$dir/log")
	[ -z "$port" ] || break
	sleep 0.1
done
[ -n "$port" ] || fail "the agent did not start"

steps() { # file, torques
	local id=0 list=
	for torque_ in "${@:2}"; do
		id=$((id + 1))
		list="$list${list:+,}{\"step_id\":$id,\"timeout\":5,\"interval\":0,\"data\":{\"torque\":$torque_}}"
	done
	printf '{"test_services":[%s]}' "$list" >"$dir/$1"
}
steps good.json 12.4 12.5 12.6
steps bad.json 12.4 13.5 12.5
run() { "$bin/stepctl" run "$dir/$1" --host 127.0.0.1 --port "$port" --json; }
reload() { RUNTIME_DIRECTORY=$dir "$bin/stepagent" reload --config "$dir/agent.toml" --port "$port" 2>&1; }

run bad.json >"$dir/out" || fail "without the validator: $(cat "$dir/out")"
ok "before the swap nobody judges the torque"
config "$sequence
$torque"
said=$(reload) || fail "reload: $said"
expect "hot swap to Python" 'generation 2' "$said"
run good.json >"$dir/out" || fail "a good run: $(cat "$dir/out")"
ok "a good procedure passes"
run bad.json >"$dir/out" && fail "a bad run passed: $(cat "$dir/out")"
expect "a bad one fails with the reason" 'rule_broken' "$(cat "$dir/out")"
expect "and with the detail" 'torque 13.5 Nm is not within 0.5 Nm of 12.5 Nm' "$(cat "$dir/out")"
pid=$(pgrep -f "$lib/torque.py" | head -n 1) || fail "no Python process serves"
kill -9 "$pid"
run good.json >"$dir/out" || fail "after a kill: $(cat "$dir/out")"
ok "after SIGKILL the verdicts that were kept are in force"
steps other.json 12.41 12.51 12.61
run other.json >"$dir/out" || fail "after a kill: $(cat "$dir/out")"
ok "and another process judges what is new"
pid=$(pgrep -f "$lib/torque.py" | head -n 1) || fail "no Python process serves"

config "$sequence"
began=$(date +%s%N)
said=$(reload) || fail "reload: $said"
for _ in $(seq 100); do
	kill -0 "$pid" 2>/dev/null || break
	sleep 0.02
done
kill -0 "$pid" 2>/dev/null && fail "the Python process outlives its chain"
took=$((($(date +%s%N) - began) / 1000000))
[ "$took" -lt 1500 ] || fail "the Python process took $took ms to end"
ok "swapped out, it ended within $took ms of the reload"

kill -TERM "$agent"
wait "$agent" || fail "the agent ended with $?"
agent=
! pgrep -f "$lib/torque.py" >/dev/null || fail "a Python process is left"
ok "nothing is left"
