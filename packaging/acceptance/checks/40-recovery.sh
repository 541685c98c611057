# what dies or hangs comes back

differ_plugin() { local now; now=$(plugin_pid) && [ -n "$now" ] && [ "$now" != 0 ] && [ "$now" != "$1" ]; }

plugin=$(plugin_pid)
check "kill the plugin" inside kill -KILL "$plugin"
check "a plugin that was killed is replaced" within 10 differ_plugin "$plugin"
check "by the same agent" quick --host "$agent4"

agent=$(main_pid)
check "kill the agent" inside kill -KILL "$agent"
check "an agent that was killed comes back" within 15 serves
check "as another process" differ "$(main_pid)" "$agent"

# The unit has 30 seconds; nobody wants to wait for them here.
drop_in stepagent.service watchdog '[Service]' 'WatchdogSec=2s'
check "with a watchdog of 2 seconds it starts" inside systemctl restart stepagent
agent=$(main_pid)
sleep 4
check "and is alive after 4" same "$(main_pid)" "$agent"
check "stop the agent's process" inside kill -STOP "$agent"
check "a stopped process is found by the watchdog" within 20 says 'Watchdog timeout' journal
check "and replaced" within 20 serves
check "by another process" differ "$(main_pid)" "$agent"
agent=$(main_pid)
check "stop the plugin's process" inside kill -STOP "$(plugin_pid)"
sleep 4
check "a plugin that hangs is no reason to restart the agent" same "$(main_pid)" "$agent"
check "but to replace the plugin" within 20 serves
no_drop_in stepagent.service watchdog
inside systemctl reset-failed stepagent
