# what an upgrade does with a service that does not run

state() { inside sh -c "systemctl is-active $1 || true"; }
enabled() { inside sh -c "systemctl is-enabled $1 || true"; }
# upgraded: from one build to the other and, the next time, back.
upgraded() {
	local next=$new
	[ "$(inside dpkg-query -W -f='${Version}' stepagent)" != "$(version_of "$new")" ] || next=$old
	install_deb "$next" --allow-downgrades
}

inside systemctl stop stepagent
check "stopped: apt upgrades the package" upgraded
check "it stays stopped" same "$(state stepagent)" inactive
check "and enabled" same "$(enabled stepagent)" enabled

inside systemctl disable --quiet stepagent
check "stopped and disabled: an upgrade" upgraded
check "leaves it stopped" same "$(state stepagent)" inactive
check "and disabled" same "$(enabled stepagent)" disabled

inside systemctl start stepagent
before=$(main_pid)
check "disabled but running: an upgrade" upgraded
check "restarts it" differ "$(main_pid)" "$before"
check "and it serves" serves
check "still disabled" same "$(enabled stepagent)" disabled

inside systemctl stop stepagent
inside systemctl mask --quiet stepagent
check "masked: an upgrade" upgraded
check "leaves it masked" same "$(enabled stepagent)" masked
check "and stopped" same "$(state stepagent)" inactive
inside systemctl unmask --quiet stepagent
inside systemctl start stepagent
inside systemctl mask --quiet stepagent
before=$(main_pid)
check "masked but running: an upgrade" upgraded
check "lets it run as it is" same "$(main_pid)" "$before"
check "still masked" same "$(enabled stepagent)" masked
inside systemctl unmask --quiet stepagent
inside systemctl stop stepagent

start_broken() {
	printf 'prot = 1\n' | config
	! inside systemctl start stepagent
}
has_failed() { same "$(state stepagent)" failed; }
check "an agent that cannot start" start_broken
check "has failed in the end" within 120 has_failed
inside cp /root/packaged.toml /etc/stepagent/stepagent.toml
check "failed and disabled: an upgrade" upgraded
check "does not start it" not active
inside systemctl enable --quiet stepagent
check "an agent that cannot start" start_broken
check "has failed in the end" within 120 has_failed
inside cp /root/packaged.toml /etc/stepagent/stepagent.toml
check "failed and enabled: an upgrade" upgraded
check "starts it again" active
check "and it serves" serves

inside systemctl stop stepagent
inside systemctl enable --quiet --now stepagent.socket
check "the socket waits, the agent is stopped: an upgrade" upgraded
check "leaves the agent stopped" same "$(state stepagent)" inactive
check "and the socket open" same "$(state stepagent.socket)" active
check "a client starts the new agent" serves
version=$(inside stepagent version | cut -d' ' -f2)
check "of the version that is installed" says "^agent +${version//./\\.}," inside stepagent status
before=$(main_pid)
check "socket and agent run: an upgrade" upgraded
check "restarts the agent" differ "$(main_pid)" "$before"
check "by the socket, which stays" same "$(state stepagent.socket)" active
check "and it serves" serves
inside systemctl stop stepagent.socket stepagent.service
check "the socket is enabled, and both are stopped: an upgrade" upgraded
check "leaves both stopped" same "$(state stepagent) $(state stepagent.socket)" "inactive inactive"
inside systemctl disable --quiet stepagent.socket

inside systemctl disable --quiet stepagent
check "disabled: apt removes the package" inside apt-get remove -y stepagent
check "a reinstallation" upgraded
check "leaves it disabled" same "$(enabled stepagent)" disabled
check "and stopped" same "$(state stepagent)" inactive
inside systemctl enable --quiet stepagent
check "the second build" install_deb "$new" --allow-downgrades
inside systemctl start stepagent
check "serves" serves
