# several agents on one board

# instance NAME COMMAND...: the config of one of several agents is what is on stdin.
instance_config() { cat >"$work/root/etc/stepagent/$1.toml"; }
instance_pid() { inside systemctl show -P MainPID "stepagent@$1"; }

# hardening UNIT: what systemd makes of a unit, but for its own folders, name and processes.
hardening() {
	inside systemctl show "$1" | sed "s|/run/stepagent@left|/run/stepagent|; s|/var/lib/stepagent@left|/var/lib/stepagent|" |
		grep -E '^(Ambient|Bounding|Capability|Device|Dynamic|Exec(Start|Reload)=|Group|Keyring|KillMode|Limit|Lock|Memory|NoNew|Notify|OOM|Private|Proc|Protect|Remove|Restart|Restrict|StartLimit|State|SystemCall|Tasks|Timeout|Type|UMask|User|Watchdog)' |
		grep -vE '^(MemoryCurrent|MemoryAvailable|TasksCurrent|StateDirectory=|StateChange|RestartUSecNext|Restarts)|^Exec.*|^[A-Za-z]*Timestamp' | sort
}
exec_of() { inside systemctl cat "$1" | grep -E '^(Exec|Type|Restart)' ; }

printf 'host = "::"\nport = 8085\nrecord.enabled = true\n' | instance_config left
printf 'host = "::"\nport = 8082\n[[validators]]\nname = "min_timeout"\nsettings = { seconds = 60 }\n' | instance_config right
check "an agent of a config of its own starts" inside systemctl enable --quiet --now stepagent@left
check "and another" inside systemctl enable --quiet --now stepagent@right
check "beside that of stepagent.service" active
check "they are three processes" same "$(printf '%s\n' "$(main_pid)" "$(instance_pid left)" "$(instance_pid right)" | sort -u | wc -l)" 3
check "the one serves on its port" quick --host "$agent4" --port 8085
check "the other judges by its own rules" fails 1 'refused: timeout_too_short' quick --host "$agent4" --port 8082
check "the service is as before" serves
check "each has its own folders" same "$(inside sh -c 'stat -c "%n %a %U" /run/stepagent* /var/lib/stepagent*' | tr '\n' ' ')" \
	"/run/stepagent 750 stepagent /run/stepagent@left 750 stepagent /run/stepagent@right 750 stepagent /var/lib/stepagent 750 stepagent /var/lib/stepagent@left 750 stepagent /var/lib/stepagent@right 750 stepagent "
check "and its own record" inside sh -c 'ls /var/lib/stepagent@left/record/*.jsonl && ! ls /var/lib/stepagent@right/record'
check "status names one" says '^config +/etc/stepagent/left.toml$' inside stepagent status --instance left
check "and the other" says '^address +\[::\]:8082$' inside stepagent status --instance right
check "without a name it is the service" says '^address +\[::\]:8080$' inside stepagent status
check "validators takes the name too" says '^min_timeout +serving' inside stepagent validators --instance right
check "and check-config" says '^/etc/stepagent/right.toml: sound, and its 1 validators serve .checked as the user stepagent of stepagent@right.service.$' inside stepagent check-config --instance right

inside mkdir /etc/stepagent/right.d
printf 'session.steps = 3\n' >"$work/root/etc/stepagent/right.d/steps.toml"
left=$(instance_pid left)
check "a reload is for one" inside systemctl reload stepagent@right
check "which reads the snippets of its name" says '^config +/etc/stepagent/right.toml, /etc/stepagent/right.d/steps.toml$' inside stepagent status --instance right
check "and not for the other" says '^last reload +none$' inside stepagent status --instance left
check "the hardening is that of stepagent.service" same "$(hardening stepagent@left)" "$(hardening stepagent)"
check "and so is what is executed" same "$(exec_of stepagent@left)" "$(exec_of stepagent)"
check "of which there are enough to compare" [ "$(hardening stepagent | wc -l)" -ge 60 ]
check "systemd finds nothing wrong with it" same "$(inside systemd-analyze verify --man=no stepagent@left.service 2>&1; echo $?)" 0

check "one stops" inside systemctl stop stepagent@right
check "and the other keeps running" quick --host "$agent4" --port 8085
inside systemctl stop stepagent
check "and keeps running without the service" quick --host "$agent4" --port 8085
check "status says who else is there" fails 1 'no agent answers on .*; other agents run here: --instance left$' inside stepagent status
check "an instance that has no config says so" not inside systemctl start stepagent@none
check "with the path" says '/etc/stepagent/none.toml: there is no such file' inside journalctl --no-pager -u stepagent@none
inside systemctl stop stepagent@none

install -m 644 "$examples/stepagent@line.socket" "$work/root/etc/systemd/system/stepagent@right.socket"
inside sed -i 's/^port = .*/port = 8083/' /etc/stepagent/right.toml
inside systemctl daemon-reload
check "example stepagent@line.socket" inside systemctl start stepagent@right.socket
check "a client starts the agent of that name" fails 1 'refused: timeout_too_short' quick --host "$agent4" --port 8083
check "and no other" says '^inactive$' inside sh -c 'systemctl is-active stepagent || true'
inside systemctl stop stepagent@right.socket stepagent@right.service
rm "$work/root/etc/systemd/system/stepagent@right.socket"
inside systemctl daemon-reload

check "an agent of several is upgraded with the package" install_deb "$new"
check "where it runs" differ "$(instance_pid left)" "$left"
check "and serves" quick --host "$agent4" --port 8085
check "the one that was stopped is not" says '^inactive$' inside sh -c 'systemctl is-active stepagent@right || true'
check "apt removes the package" inside apt-get remove -y stepagent
check "all agents are stopped" not inside pgrep -u stepagent
check "a reinstallation" install_deb "$old" --allow-downgrades
check "starts what was enabled" quick --host "$agent4" --port 8085
check "the other too" fails 1 'refused: timeout_too_short' quick --host "$agent4" --port 8083

inside systemctl disable --quiet --now stepagent@left stepagent@right
inside rm -r /etc/stepagent/left.toml /etc/stepagent/right.toml /etc/stepagent/right.d /var/lib/stepagent@left /var/lib/stepagent@right
check "the service alone serves" serves
