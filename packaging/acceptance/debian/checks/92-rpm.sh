# the rpm packages, with rpm

rpm_of() { for name in stepagent stepctl; do cp "$1/$name"-*.x86_64.rpm "$work/root/root/$name.rpm"; done; }
config_as() { same "$(tail -n 1 "$work/root/etc/stepagent/$1")" "$2"; }

inside userdel stepagent
rpm_of "$old"
cp "$old/key.asc" "$work/root/root/"
check "rpm does not know who signed the package" fails 1 'SIGNATURES NOT OK' inside rpm -K /root/stepagent.rpm
check "rpm takes the key" inside rpm --import /root/key.asc
check "rpm finds its digests and signature right" says 'digests signatures OK' inside rpm -K /root/stepagent.rpm
check "rpm installs the package" inside rpm -i --nodeps /root/stepagent.rpm
check "with its user" inside getent passwd stepagent
check "enabled as the presets have it" says '^enabled$' inside systemctl is-enabled stepagent
check "and not started" not inside pgrep -u stepagent
check "systemctl starts it" inside systemctl start stepagent
check "and it serves" serves

echo '# of the administrator' >>"$work/root/etc/stepagent/stepagent.toml"
before=$(main_pid)
rpm_of "$new"
check "rpm upgrades the package" inside rpm -U --nodeps /root/stepagent.rpm
check "the agent has been restarted" differ "$(main_pid)" "$before"
check "and serves" serves
check "the config is the administrator's" config_as stepagent.toml '# of the administrator'
check "that of the new version lies beside" inside grep -q 'config that .* installs' /etc/stepagent/stepagent.toml.rpmnew
check "of the new version" says "^stepagent $(inside rpm -q --qf '%{VERSION}' stepagent) " inside stepagent version

inside systemctl stop stepagent
cp "$work/root/etc/stepagent/stepagent.toml" "$work/root/etc/stepagent/left.toml"
sed -i '1i port = 8085' "$work/root/etc/stepagent/left.toml"
check "an agent of several" inside systemctl enable --quiet --now stepagent@left
before=$(inside systemctl show -P MainPID stepagent@left)
check "with the service stopped: rpm installs the package anew" inside rpm -U --nodeps --force /root/stepagent.rpm
check "it stays stopped" says '^inactive$' inside sh -c 'systemctl is-active stepagent || true'
check "the one of several is restarted" differ "$(inside systemctl show -P MainPID stepagent@left)" "$before"
check "and serves" quick --host "$agent4" --port 8085
inside rm /etc/stepagent/left.toml /etc/stepagent/stepagent.toml.rpmnew
inside rm -r /var/lib/stepagent@left

check "rpm removes the package" inside rpm -e stepagent
check "nothing of it is enabled" not inside sh -c 'ls /etc/systemd/system/*.wants | grep stepagent'
check "the agent is stopped" not inside pgrep -u stepagent
check "and not known to systemd" says 'not-found' inside systemctl show -P LoadState stepagent
check "the changed config is kept aside" config_as stepagent.toml.rpmsave '# of the administrator'
rm -r "$work/root/etc/stepagent"
check "rpm installs the client" inside rpm -i --nodeps /root/stepctl.rpm
check "of the same version" says "^stepctl $(inside rpm -q --qf '%{VERSION}' stepctl) " inside stepctl version
check "rpm removes the client" inside rpm -e stepctl
left=$(inside find / -xdev \( -path /proc -o -path /sys -o -path /root -o -path /usr/local -o -path /var/log/journal -o -path /var/lib/stepagent \) -prune -o \
	\( -name '*stepagent*' -o -name '*stepctl*' -o -user stepagent \) -print | sort)
check "nothing else is left" same "$left" ""
rm -rf "$work/root/var/lib/stepagent" "$work"/root/root/{stepagent.rpm,stepctl.rpm,key.asc}
