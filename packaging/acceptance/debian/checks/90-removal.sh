# removal, reinstallation, purge

remove() { inside apt-get remove -y stepagent; }

check "apt removes the package" remove
check "the agent is stopped" not inside pgrep -u stepagent
check "the config stays" inside test -f /etc/stepagent/stepagent.toml
check "a reinstallation starts it again" install_deb "$new"
check "and it serves" serves

inside systemctl stop stepagent
inside systemctl enable --quiet --now stepagent.socket
check "with the socket: apt removes the package" remove
check "no process listens" not inside sh -c 'ss -Hltn "sport = :8080" | grep .'
check "nor is started by a client" not inside pgrep -u stepagent
check "reinstallation" install_deb "$new"

printf 'x' >"$work/root/var/lib/stepagent/table"
check "apt purges the package" inside apt-get purge -y stepagent
check "the agent is gone" not inside pgrep -u stepagent
left=$(inside find / -xdev \( -path /proc -o -path /sys -o -path /root -o -path /usr/local -o -path /var/log/journal -o -path /var/lib/apt -o -path /var/cache/apt \) -prune -o \
	\( -name '*stepagent*' -o -user stepagent \) -print | sort)
printf 'what is left: %s\n' "${left:-nothing}"
check "nothing but the user is left" same "$left" ""
check "the user is" inside getent passwd stepagent

# A policy-rc.d that forbids it, as in an image that is being built, invoke-rc.d(8).
printf '#!/bin/sh\nexit 101\n' >"$work/root/usr/sbin/policy-rc.d"
chmod 755 "$work/root/usr/sbin/policy-rc.d"
check "with a policy-rc.d that forbids it: installation" install_deb "$new"
check "starts nothing" not inside pgrep -u stepagent
check "but enables it" says '^enabled$' inside systemctl is-enabled stepagent
check "and is purged" inside apt-get purge -y stepagent
rm "$work/root/usr/sbin/policy-rc.d"
