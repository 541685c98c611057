#!/usr/bin/env bash
# python.sh [FOLDER]: installs the Python example as its README says and uses it: checks it from
# outside, runs a procedure through it, swaps it for another chain and back while the agent runs,
# and expects it to exit in time. FOLDER holds the programs, bin by default. Needs Debian's
# python3-grpcio, python3-protobuf and pycodestyle.
. "$(dirname "$0")/lib.sh"
require pycodestyle pgrep
programs "${1-}"
workdir
chmod 755 "$work"
cd "$root/plugins/python"

expect() { # what, pattern, text
	grep -Eq -- "$2" <<<"$3" || fail "$1: want $2 in
$3"
	ok "$1"
}

/usr/bin/python3 -W error -m unittest discover -t . -s tests 2>"$work/unit" || { cat "$work/unit"; fail "unit tests"; }
ok "unit tests: $(grep '^Ran' "$work/unit")"
pycodestyle --exclude='*_pb2.py' . || fail "PEP 8"
ok "PEP 8"
if command -v protoc >/dev/null && [ "$(protoc --version)" = "libprotoc 3.21.12" ]; then
	protoc --proto_path=../sdk/proto/stepagent/validator/v1 --python_out="$work" validator.proto
	cmp "$work/validator_pb2.py" stepagent_validator/validator_pb2.py || fail "validator_pb2.py is behind the contract; run plugins/sdk/proto/generate.sh"
	ok "the messages are those of the contract"
fi

lib=$work/lib
mkdir "$lib"
cp -r stepagent_validator template.py torque.py "$lib"

for program in "template.py" "torque.py --settings {\"newton_metres\":12.5} --data {\"torque\":12.4}"; do
	# shellcheck disable=SC2086 # the words of one command
	out=$("$bin/stepagent" validators check "$lib/"$program) || fail "conformance: $out"
	expect "conformance of ${program%% *}" ': sound$' "$out"
	expect "what ${program%% *} reads" '^ok +what it reads \((step_id|data); verdicts are kept\)$' "$out"
done
chmod 644 "$lib/template.py"
out=$("$bin/stepagent" validators check "$lib/template.py" 2>&1) && fail "a file that may not be executed passed"
expect "what is wrong with a file" 'is not executable; chmod 755' "$out"

config() { # the validators
	printf 'host = "127.0.0.1"\nport = 0\nlog.format = "text"\n[session]\nsteps = 3\n%s\n' "$1" >"$work/agent.toml"
}
torque='[[validators]]
name = "torque"
path = "lib/torque.py"
settings = { newton_metres = 12.5, tolerance = 0.5, spread = 0.8 }'
sequence='[[validators]]
name = "sequence"'

config "$sequence
$torque"
out=$("$bin/stepagent" check-config "$work/agent.toml") || fail "check-config: $out"
expect "check-config" 'sound, and its 2 validators serve' "$out"
config "${torque/newton_metres/newton_meters}"
out=$("$bin/stepagent" check-config "$work/agent.toml" 2>&1) && fail "a wrong setting passed"
expect "a wrong setting has its position" 'agent.toml:[0-9]+:[0-9]+: validators\[0\].settings.newton_meters: unknown key' "$out"

config "$sequence"
start_agent --config "$work/agent.toml"

steps() { # file, torques
	local id=0 list= torque
	for torque in "${@:2}"; do
		id=$((id + 1))
		list="$list${list:+,}{\"step_id\":$id,\"timeout\":5,\"interval\":0,\"data\":{\"torque\":$torque}}"
	done
	printf '{"test_services":[%s]}' "$list" >"$work/$1"
}
steps good.json 12.4 12.5 12.6
steps bad.json 12.4 13.5 12.5
run() { "$bin/stepctl" run "$work/$1" --host 127.0.0.1 --port "$port" --json >"$work/out"; }
reload() { out=$("$bin/stepagent" reload --config "$work/agent.toml" --port "$port" 2>&1) || fail "reload: $out"; }
python_process() { pid=$(pgrep -f "$lib/torque.py" | head -n 1) || fail "no Python process serves"; }

run bad.json || fail "without the validator: $(cat "$work/out")"
ok "before the swap no validator judges the torque"
config "$sequence
$torque"
reload
expect "hot swap to Python" 'generation 2' "$out"
run good.json || fail "a good run: $(cat "$work/out")"
ok "a good procedure passes"
run bad.json && fail "a bad run passed: $(cat "$work/out")"
expect "a bad one fails with the reason" 'rule_broken' "$(cat "$work/out")"
expect "and with the detail" 'torque 13.5 Nm is not within 0.5 Nm of 12.5 Nm' "$(cat "$work/out")"
python_process
kill -9 "$pid"
run good.json || fail "after a kill: $(cat "$work/out")"
ok "after SIGKILL the cached verdicts are in force"
steps other.json 12.41 12.51 12.61
run other.json || fail "after a kill: $(cat "$work/out")"
ok "and a new process judges new requests"
python_process

config "$sequence"
start=$(date +%s%N)
reload
within 3 not kill -0 "$pid" || fail "the Python process outlives its chain"
took=$((($(date +%s%N) - start) / 1000000))
[ "$took" -lt 1500 ] || fail "the Python process took $took ms to exit"
ok "swapped out, it exited within $took ms of the reload"

stop_agent
! pgrep -f "$lib/torque.py" >/dev/null || fail "a Python process is left"
ok "no process is left"
