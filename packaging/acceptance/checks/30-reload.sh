# the config while the agent runs

before=$(main_pid)
printf 'host = "::"\n[[validators]]\nname = "min_timeout"\nsettings = { seconds = 60 }\n' | config
check "systemctl reload swaps the validators" inside systemctl reload stepagent
check "which judge from now on" fails 1 'refused: timeout_too_short' quick --host "$agent4"
check "the status has the new ones" says 'Status: .*validators: min_timeout \(generation' inside systemctl status stepagent

printf 'host = "::"\nprot = 8080\n' | config
check "systemctl reload fails with a config that is wrong" not inside systemctl reload stepagent
check "the journal has an error with file, line and key" says 'level=ERROR.*stepagent.toml:2:1: prot: unknown key; did you mean port\?' journal -p err
check "the service goes on" active
check "with the config that it had" fails 1 'refused: timeout_too_short' quick --host "$agent4"
check "the status says that the reload was refused" says 'the last reload was refused: .*prot' inside systemctl status stepagent

inside cp /root/packaged.toml /etc/stepagent/stepagent.toml
check "a sound config is taken again" inside systemctl reload stepagent
check "and judges as before" quick --host "$agent4"
say 'allow = ["loopback"]'
check "allow can change" inside systemctl reload stepagent
check "who is not in it is not served" fails 1 '0 of 3 steps passed.*connection was lost' quick --host "$agent4"
inside cp /root/packaged.toml /etc/stepagent/stepagent.toml
check "the packaged config again" inside systemctl reload stepagent
check "serves the bench" quick --host "$agent4"
check "all that by one process" same "$(main_pid)" "$before"
