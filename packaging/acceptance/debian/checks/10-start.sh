# install and start

exposure_at_most() {
	local exposure
	exposure=$(inside systemd-analyze security --offline=true /usr/lib/systemd/system/stepagent.service | sed -n 's/.*Overall exposure level for [^:]*: \([0-9.]*\) .*/\1/p')
	echo "$exposure"
	awk -v got="$exposure" -v most="$1" 'BEGIN { exit !(got != "" && got <= most) }'
}

check "apt installs the package" install_deb "$old"
check "the agent runs and is enabled" says '^enabled$' inside systemctl is-enabled stepagent
check "the agent is active" active
check "it has said that it is ready" says '^Status: "serving \[::\]:8080; .*sequence, min_timeout \(generation 1\)"' \
	inside sh -c 'systemctl status stepagent | sed "s/^ *//"'
check "it runs as its own user" same "$(inside ps -o user= -p "$(main_pid)")" stepagent
check "it has no capabilities" says '^Cap(Prm|Eff|Bnd|Amb):.0+$' inside grep -E '^Cap(Prm|Eff|Bnd|Amb)' "/proc/$(main_pid)/status"
check "its folders" same "$(inside stat -c '%n %a %U' /run/stepagent /var/lib/stepagent | tr '\n' ' ')" \
	"/run/stepagent 750 stepagent /var/lib/stepagent 750 stepagent "
check "systemd-analyze security is at most 1.5" exposure_at_most 1.5
check "systemd finds nothing wrong with the units" same \
	"$(inside systemd-analyze verify --man=no stepagent.service stepagent.socket 2>&1; echo $?)" 0
check "stepagent status says whom it serves" says '^serves +loopback, private, link-local$' inside stepagent status
