# recovery from crashes, hangs and lost resources

differ_plugin() { local now; now=$(plugin_pid) && [ -n "$now" ] && [ "$now" != 0 ] && [ "$now" != "$1" ]; }

plugin=$(plugin_pid)
check "kill the plugin" inside kill -KILL "$plugin"
check "a plugin that was killed is replaced" within 10 differ_plugin "$plugin"
check "by the same agent" quick --host "$agent4"

process=$(main_pid)
check "kill the agent" inside kill -KILL "$process"
check "an agent that was killed comes back" within 15 serves
check "as another process" differ "$(main_pid)" "$process"

# The unit has 30 seconds; 2 make the test shorter.
drop_in stepagent.service watchdog '[Service]' 'WatchdogSec=2s'
check "with a watchdog of 2 seconds it starts" inside systemctl restart stepagent
process=$(main_pid)
sleep 4
check "and is alive after 4" same "$(main_pid)" "$process"
check "stop the agent's process" inside kill -STOP "$process"
check "a stopped process is found by the watchdog" within 20 says 'Watchdog timeout' journal
check "and replaced" within 20 serves
check "by another process" differ "$(main_pid)" "$process"
process=$(main_pid)
check "stop the plugin's process" inside kill -STOP "$(plugin_pid)"
sleep 4
check "a plugin that hangs is no reason to restart the agent" same "$(main_pid)" "$process"
check "but to replace the plugin" within 20 serves
no_drop_in stepagent.service watchdog
inside systemctl reset-failed stepagent

# The agent survives the loss of the journal, its folder and its address.
readonly journald="systemd-journald.socket systemd-journald-dev-log.socket systemd-journald-audit.socket systemd-journald.service"
process=$(main_pid)
check "stop the journal with its sockets" inside systemctl stop $journald
inside kill -HUP "$process"
check "the agent continues, and counts the lines that it cannot write" within 10 fails 3 '^log .* could not be written$' inside stepagent status
check "start the journal again" inside systemctl start $journald
inside kill -HUP "$process"
check "the journal gets the lines of the same agent" within 10 says 'log lines could not be written. unwritten=' journal
check "and its health is good" within 10 says '^health +good$' inside stepagent status

check "remove the folder for sockets" inside rm -r /run/stepagent
check "root finds the agent again" within 5 says '^health +good$' inside stepagent status
check "and so does its user" says '^health +good$' inside setpriv --reuid stepagent --regid stepagent --clear-groups stepagent status
plugin=$(plugin_pid)
check "kill the plugin" inside kill -KILL "$plugin"
check "a plugin is started without the folder" within 10 differ_plugin "$plugin"
check "a reload finds the agent" inside systemctl reload stepagent
check "all by the same process" same "$(main_pid)" "$process"

printf 'host = "10.77.0.7"\n' | config
check "the service starts without its address" inside systemctl restart stepagent
check "systemd says what it waits for" says 'Status: "waiting for the address 10.77.0.7:8080' inside systemctl status stepagent
check "and so does the agent" fails 3 '^address +10\.77\.0\.7:8080 \(not there yet\)$' inside stepagent status
check "which can be reloaded" inside systemctl reload stepagent
inside ip address add 10.77.0.7/24 dev host0
check "when the address appears it is served" within 10 quick --host 10.77.0.7
inside ip address delete 10.77.0.7/24 dev host0
check "when it disappears the agent reports it" within 10 fails 3 'not there yet' inside stepagent status
printf 'host = "::"\nport = 8081\n' | config
check "a reload finds the agent by its status, not by the changed port" fails 1 '' inside systemctl reload stepagent
check "and the journal says what is wrong" says 'stepagent.toml:2:1: port: cannot change while the agent runs' journal -p err
inside cp /root/packaged.toml /etc/stepagent/stepagent.toml
check "the packaged config again" inside systemctl restart stepagent
check "a SIGHUP during the start does not end the service" inside bash -c 'systemctl stop stepagent; systemctl start --no-block stepagent
	while pid=$(systemctl show -P MainPID stepagent); [ "$pid" = 0 ]; do :; done; kill -HUP "$pid"'
check "it serves" within 15 serves
