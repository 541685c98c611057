# socket activation: a restart under load

# under_load SECONDS FILE ARGS...: stepctl load on the other host, in the background.
under_load() {
	local seconds=$1 file=$2
	shift 2
	client load --host "$agent4" --clients 20 --duration "${seconds}s" --allow-lost --json "$@" >"$file" 2>"$file.err" &
	load=$!
}

# load_ends: waits for it, and says how it ended.
load_ends() {
	ended=0
	wait "$load" || ended=$?
}

# no_refusals FILE: the load that has ended met nothing but lost steps.
no_refusals() {
	tr ',' '\n' <"$1" | grep -E '"(refused|wrong|missing|lost)"'
	[ "$ended" = 0 ] && grep -qE '"refused": *0\b' "$1"
}

restarts() {
	local n
	for n in 1 2 3; do
		sleep 1
		inside systemctl restart stepagent || return 1
	done
}

# sockets_of PID: the sockets that a process has open.
sockets_of() { inside sh -c "readlink /proc/$1/fd/* | grep ^socket: | sort"; }
sockets_shared() { comm -12 <(sockets_of "$(main_pid)") <(sockets_of "$(plugin_pid)") | grep .; }

inside systemctl stop stepagent
check "stepagent.socket is enabled" inside systemctl enable --now stepagent.socket
check "a client's connection starts the agent" serves
check "which has the port from systemd" says 'ListenStream|stepagent.socket' inside systemctl list-sockets --no-pager
check "the plugin has no copy of the port" not sockets_shared
under_load 8 "$work/restart.json"
check "three restarts under load" restarts
load_ends
check "refuse no connection" no_refusals "$work/restart.json"

add_key 'port = 8081'
check "a port that is not the socket's is refused" not inside systemctl restart stepagent
check "with the place of both" says 'stepagent.toml:[0-9]+:1: port: is 8081, but the socket that systemd has passed listens on \[::\]:8080' journal -p err
inside cp /root/packaged.toml /etc/stepagent/stepagent.toml
inside systemctl reset-failed stepagent.service stepagent.socket
check "and put right" inside sh -c 'systemctl start stepagent.socket && systemctl restart stepagent'
check "serves again" serves

drop_in stepagent.socket port - <"$examples/socket-port.conf"
add_key 'port = 502'
inside systemctl stop stepagent.socket stepagent.service
check "example socket-port.conf: port 502 by the socket" inside systemctl start stepagent.socket stepagent.service
check "serves there, without a capability" quick --host "$agent4" --port 502
inside systemctl stop stepagent.socket stepagent.service
no_drop_in stepagent.socket port
inside cp /root/packaged.toml /etc/stepagent/stepagent.toml
inside systemctl disable --quiet stepagent.socket
check "back to a port of the agent's own" inside systemctl start stepagent.service
check "serves" serves
