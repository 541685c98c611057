# the example drop-ins

# example NAME: puts an example in force, or not the last one any more.
example() { drop_in stepagent.service example - <"$examples/$1" && inside systemctl restart stepagent; }
no_example() {
	no_drop_in stepagent.service example
	inside cp /root/packaged.toml /etc/stepagent/stepagent.toml
	inside systemctl restart stepagent
}
# may_make_code: a process with the service's settings asks for memory to write to and execute.
may_make_code() {
	local deny
	deny=$(inside systemctl show -P MemoryDenyWriteExecute stepagent)
	inside systemd-run -q --pipe --wait -p MemoryDenyWriteExecute="$deny" /usr/bin/python3 -c \
		'import mmap; mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)'
}
# bench_validator NAME: a validator of the user's own, in the config.
bench_validator() {
	printf 'host = "::"\n[[validators]]\nname = "%s"\npath = "/usr/local/lib/stepagent/bench"\n' "$1" | config
}
captured() {
	quick --host "$agent4" >/dev/null &&
		[ "$(inside sh -c 'tcpdump -r /var/lib/private/stepagent-capture/agent.pcap* 2>/dev/null | wc -l')" -ge 10 ]
}
install -D -m 755 "$work/plugins/bench" "$work/root/usr/local/lib/stepagent/bench"

check "low-port.conf" example low-port.conf
check "the agent has port 502" quick --host "$agent4" --port 502
check "by one capability" says '^CapBnd:.0*400$' inside grep CapBnd "/proc/$(main_pid)/status"
check "reload and status find it by the port" inside sh -c 'systemctl reload stepagent && stepagent status --port 502'
no_example

printf 'open sesame\n' >"$work/root/etc/stepagent/bench-token"
chmod 600 "$work/root/etc/stepagent/bench-token"
bench_validator token
check "without its secret the validator does not start" not inside systemctl reload stepagent
check "secret.conf" example secret.conf
printf '{"test_services": [{"step_id": 1, "timeout": 5, "interval": 0, "data": {"token": "open sesame"}}]}\n' >"$work/client/tmp/token.json"
check "the validator knows its secret" client run /tmp/token.json --host "$agent4"
check "and who does not" fails 1 'rule_broken' quick --host "$agent4"
check "other users do not" not inside setpriv --reuid nobody --clear-groups cat /run/credentials/stepagent.service/bench-token
no_example
rm "$work/root/etc/stepagent/bench-token"

bench_validator hungry
check "memory.conf" example memory.conf
process=$(main_pid) plugin=$(plugin_pid)
check "a plugin that takes too much memory gives no verdict" fails 1 'step 3 was refused: validator_unavailable' quick --no-retry --host "$agent4"
check "it was ended and replaced" within 15 differ_plugin "$plugin"
check "and the agent was not" same "$(main_pid)" "$process"
no_example

cp -r plugins/python/stepagent_validator plugins/python/torque.py "$work/root/usr/local/lib/stepagent/"
printf 'host = "::"\n[[validators]]\nname = "torque"\npath = "/usr/local/lib/stepagent/torque.py"\nsettings = { newton_metres = 12.5, tolerance = 0.5 }\n' | config
check "a validator in Python needs nothing of systemd" inside systemctl reload stepagent
printf '{"test_services": [{"step_id": 1, "timeout": 5, "interval": 0, "data": {"torque": 12.6}}]}\n' >"$work/client/tmp/torque.json"
check "it passes a step" client run /tmp/torque.json --host "$agent4"
check "and fails another" fails 1 'rule_broken' quick --host "$agent4"
check "it may not make code at run time" fails 1 . may_make_code
check "python.conf" example python.conf
check "with it, it may" may_make_code
check "and the validator judges as before" client run /tmp/torque.json --host "$agent4"
no_example

# The agent extends the timeout of the unit to stop.grace, 5 seconds.
bench_validator slow
drop_in stepagent.service example '[Service]' 'TimeoutStopSec=1s'
inside systemctl restart stepagent
printf '{"test_services": [{"step_id": 1, "timeout": 9, "interval": 0}]}\n' >"$work/client/tmp/one.json"
client run /tmp/one.json --host "$agent4" >"$work/slow.txt" 2>&1 &
slow=$!
check "a step is in flight" within 10 says '^sessions +1 open' inside stepagent status
check "the agent stops" inside systemctl stop stepagent
check "by itself, and not killed" same "$(inside systemctl show -P Result stepagent)" success
answered=0
wait "$slow" || answered=$?
check "when the step has its reply" same "$answered $(tail -n 1 "$work/slow.txt")" "0 pass: the only step was answered in order and in time"
no_example

install -m 644 "$examples/stepagent-capture.service" "$work/root/etc/systemd/system/"
inside systemctl daemon-reload
check "stepagent-capture.service starts" inside systemctl start stepagent-capture
check "a run while it captures" within 10 captured
check "as a user of its own, with one capability" says '^CapBnd:.0*2000$' inside sh -c 'grep CapBnd /proc/$(systemctl show -P MainPID stepagent-capture)/status'
inside systemctl stop stepagent-capture
inside rm -rf /etc/systemd/system/stepagent-capture.service /var/lib/private/stepagent-capture /var/lib/stepagent-capture
inside systemctl daemon-reload
