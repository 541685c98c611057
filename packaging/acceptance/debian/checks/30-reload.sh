# the config while the agent runs

before=$(main_pid)
printf 'host = "::"\n[[validators]]\nname = "min_timeout"\nsettings = { seconds = 60 }\n' | config
check "systemctl reload swaps the validators" inside systemctl reload stepagent
check "which judge from now on" fails 1 'refused: timeout_too_short' quick --host "$agent4"
check "the status has the new ones" says 'Status: .*validators: min_timeout \(generation' inside systemctl status stepagent

printf 'host = "::"\nprot = 8080\n' | config
check "systemctl reload fails with a config that is wrong" not inside systemctl reload stepagent
check "the journal has an error with file, line and key" says 'level=ERROR.*stepagent.toml:2:1: prot: unknown key; did you mean port\?' journal -p err
check "the service keeps running" active
check "with the config that it had" fails 1 'refused: timeout_too_short' quick --host "$agent4"
check "the status says that the reload was refused" says 'the last reload was refused: .*prot' inside systemctl status stepagent

inside cp /root/packaged.toml /etc/stepagent/stepagent.toml
inside sh -c 'chown root:root /etc/stepagent/stepagent.toml && chmod 600 /etc/stepagent/stepagent.toml'
check "check-config by root says that the service's user cannot read it" fails 1 'cannot be read: permission denied \(checked as the user stepagent' \
	inside stepagent check-config /etc/stepagent/stepagent.toml
inside sh -c 'chgrp stepagent /etc/stepagent/stepagent.toml && chmod 640 /etc/stepagent/stepagent.toml'
check "and that it can" says 'sound.*checked as the user stepagent' inside stepagent check-config /etc/stepagent/stepagent.toml
for folder in /root /tmp; do
	inside cp /usr/bin/stepagent "$folder/plugin"
	printf '[[validators]]\nname = "sequence"\npath = "%s/plugin"\nargs = ["plugin"]\n' "$folder" | inside sh -c 'cat >/tmp/hidden.toml'
	check "a plugin in $folder is one that the service does not execute" fails 1 "does not execute $folder/plugin, by its" \
		inside stepagent check-config /tmp/hidden.toml
	inside rm "$folder/plugin" /tmp/hidden.toml
done
inside sh -c 'cp -p /etc/stepagent/stepagent.toml /root/kept.toml && chmod 646 /etc/stepagent/stepagent.toml'
check "a config that any user may write is refused at a reload" not inside systemctl reload stepagent
check "and the journal says why" says 'is not taken, as the agent executes what it names' journal -p err
inside cp -p /root/kept.toml /etc/stepagent/stepagent.toml
inside cp /root/packaged.toml /etc/stepagent/stepagent.toml
check "a sound config is taken again" inside systemctl reload stepagent
check "and judges as before" quick --host "$agent4"
add_key 'allow = ["loopback"]'
check "allow can change" inside systemctl reload stepagent
check "a client outside it is not served" fails 1 '0 of 3 steps passed.*connection was lost' quick --host "$agent4"
inside cp /root/packaged.toml /etc/stepagent/stepagent.toml
check "the packaged config again" inside systemctl reload stepagent
check "serves the bench" quick --host "$agent4"
check "all by the same process" same "$(main_pid)" "$before"
