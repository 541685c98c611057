# sessions through an upgrade and a downgrade in mid-procedure

readonly stored=/var/lib/stepagent/sessions
{
	printf '{"test_services": ['
	printf '{"step_id": %s, "timeout": 20, "interval": 3}, ' 1 2 3 4 5 6 7 8 9
	printf '{"step_id": 10, "timeout": 20, "interval": 0}]}\n'
} >"$work/client/tmp/paced.json"

# begin NAME: begins a procedure of half a minute, as the session of that name.
begin() {
	client run /tmp/paced.json --host "$agent4" --session "$1" >"$work/paced.txt" 2>&1 &
	paced=$!
	check "the procedure $1 is in its middle" within 20 judged "$1" 2
}
# judged NAME N: so many steps of the session have been judged.
judged() { [ "$(inside stepagent sessions show "$1" | sed -n 's/^position *\([0-9]*\) of .*/\1/p')" -ge "$2" ]; }
# ends: waits for the procedure, which must pass.
ends() {
	local code=0
	wait "$paced" || code=$?
	check "the procedure ends with 0" same "$code" 0
	check "and with pass" says '^pass: ' tail -n 1 "$work/paced.txt"
}
restored() { says '^restored +yes$' inside stepagent sessions show "$1"; }
sum() { inside sh -c "cat $stored/* | sha256sum"; }

inside cp /usr/share/stepagent/stepagent.toml /etc/stepagent/stepagent.toml
check "the packaged config" inside systemctl restart stepagent
check "has sessions stored" says "^store +restart in $stored, " inside stepagent status
check "in a folder for the agent alone" same "$(inside stat -c '%a %U' $stored)" "700 stepagent"

begin down
check "apt goes back to the first build" install_deb "$old" --allow-downgrades
check "the session is there again" restored down
ends
begin up
process=$(main_pid)
check "apt upgrades the package" install_deb "$new"
check "and restarts the agent" differ "$(main_pid)" "$process"
check "the session is there again" restored up
check "status says so" says '^store .*; restored at the start: [1-9]' inside stepagent status
ends

# An agent that stores no sessions, as one of a version that cannot, leaves them to the next that does.
inside systemctl stop stepagent
before=$(sum)
printf 'session.survives = "nothing"\n' >"$work/root/etc/stepagent/conf.d/90-memory.toml"
inside systemctl start stepagent
check "an agent that stores no sessions" says '^store +off$' inside stepagent status
check "serves" serves
inside systemctl stop stepagent
check "and leaves the stored ones alone" same "$(sum)" "$before"
rm "$work/root/etc/stepagent/conf.d/90-memory.toml"
inside systemctl start stepagent
check "the next one has them" says '^store .*; restored at the start: [1-9]' inside stepagent status

# The files of a later version: the first bytes of a log, with format 2 and its checksum.
later() { inside sh -c "printf 'stepslog\002\000\002\000\334\254C\344' | dd of=\$(ls $stored/log-* | tail -n 1) bs=1 conv=notrunc status=none"; }
inside systemctl stop stepagent
check "files of a later version" later
check "do not keep the agent from its start" inside systemctl start stepagent
check "which sets them aside" inside sh -c "ls $stored/*.newer"
check "and says so in its status" says '^store .*newer version of the agent.*; set aside: log-[0-9]+\.newer$' inside stepagent status
check "and in the journal" says '\.newer' journal -p warning
check "it serves" serves
inside systemctl reset-failed stepagent # systemd counts starts, and the next checks make some
