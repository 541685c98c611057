# snippets of the config, in conf.d

snippet() { cat >"$work/root/etc/stepagent/conf.d/$1"; }

printf '[[validators]]\nname = "min_timeout"\nsettings = { seconds = 60 }\n' | snippet 50-timeout.toml
printf 'session: {steps: 3}\n' | snippet 60-steps.yaml
check "check-config names every file" says \
	'^/etc/stepagent/stepagent.toml, /etc/stepagent/conf.d/50-timeout.toml, /etc/stepagent/conf.d/60-steps.yaml: sound, and its 2 validators serve .checked as the user stepagent of stepagent.service.$' \
	inside stepagent check-config /etc/stepagent/stepagent.toml
check "a reload puts snippets in force" inside systemctl reload stepagent
check "the rules of one" fails 1 'refused: timeout_too_short' quick --host "$agent4"
check "status names every file" says \
	'^config +/etc/stepagent/stepagent.toml, /etc/stepagent/conf.d/50-timeout.toml, /etc/stepagent/conf.d/60-steps.yaml$' inside stepagent status
check "and so does the journal" says 'config reloaded.*conf.d/60-steps.yaml' journal

printf 'session:\n  stepz: 3\n' | snippet 60-steps.yaml
check "a bad snippet is refused" not inside systemctl reload stepagent
check "with its file, line and key" says 'conf.d/60-steps.yaml:2:3: session.stepz: unknown key; did you mean steps\?' journal -p err
inside rm /etc/stepagent/conf.d/50-timeout.toml /etc/stepagent/conf.d/60-steps.yaml
check "without them" inside systemctl reload stepagent
check "all is as before" quick --host "$agent4"
