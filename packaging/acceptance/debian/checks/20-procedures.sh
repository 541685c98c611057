# procedures from another host, with the files of the package stepctl alone

check "the success procedure, by IPv4" client run --data success --host "$agent4"
check "the failure procedure: one step out of order, two with too short a timeout" \
	fails 1 'step 100 was refused: out_of_order; steps 9 and 10 were refused: timeout_too_short' \
	client run --data failure --host "$agent4"

# From here on the checks exchange the config at reloads, where session.survives cannot change, and count the open
# sessions after restarts: with sessions in memory. 76-upgrade-sessions.sh has the packaged config again.
check "by the packaged config sessions survive a restart" inside grep -qx 'session.survives = "restart"' /etc/stepagent/stepagent.toml
inside sed -i '/^session\.survives = /d' /etc/stepagent/stepagent.toml
inside systemctl restart stepagent
inside sh -c 'cd /etc/stepagent && cp stepagent.toml /root/packaged.toml'
config <"configs/faults.toml"
inside sed -i '1i host = "::"' /etc/stepagent/stepagent.toml
check "a reload puts validators that misbehave in force" inside systemctl reload stepagent
check "the timeout procedure: two steps without an answer in time, one cut off" \
	fails 1 'steps 4 and 6 were not answered in time; step 8 was cut off' client run --data timeout --no-retry --host "$agent4"
inside cp /root/packaged.toml /etc/stepagent/stepagent.toml
check "and out of force" inside systemctl reload stepagent

readonly quick='{"test_services": [{"step_id": 1, "timeout": 5, "interval": 0}, {"step_id": 2, "timeout": 5, "interval": 0}, {"step_id": 3, "timeout": 5, "interval": 0}]}'
printf '%s\n' "$quick" >"$work/client/tmp/quick.json"
quick() { client run /tmp/quick.json "$@"; }
check "a few steps by IPv6" quick --host "$agent6"
check "a few steps by the link-local address" quick --host "$(inside ip -o -6 address show dev host0 scope link | sed 's/.*inet6 \([^/]*\).*/\1/')%ve-$machine"
check "an address of the internet is not served" fails 1 '0 of 3 steps passed.*connection was lost' quick --host "$public4"
check "nor one of IPv6" fails 1 '0 of 3 steps passed.*connection was lost' quick --host "$public6"
check "a line says so" says 'connection not allowed.*client=203\.0\.113\.1:' journal
check "the count of such connections" says ', [1-9][0-9]* not allowed$' inside stepagent status
