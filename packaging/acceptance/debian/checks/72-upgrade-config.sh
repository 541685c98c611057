# upgrades with no terminal, the config edited on the board and changed in the package

# repack FROM VERSION COMMAND...: the package in the folder FROM as another version, in
# $work/VERSION, after the command has changed its files, which lie in the working directory.
repack() {
	local from=$1 version=$2 dir
	shift 2
	dir=$work/$version
	mkdir -p "$dir"
	dpkg-deb -R "$from"/stepagent_*_amd64.deb "$dir/files"
	sed -i "s/^Version: .*/Version: $version-1/" "$dir/files/DEBIAN/control"
	(cd "$dir/files" && "$@")
	dpkg-deb --root-owner-group -b "$dir/files" "$dir/stepagent_$version-1_amd64.deb" >/dev/null
}

# as_before: the first packages had a conffile with every key.
as_before() {
	install -D -m 644 usr/share/doc/stepagent/examples/configs/stepagent.toml etc/stepagent/stepagent.toml
	sed -i 's/^host = .*/host = "::"/' etc/stepagent/stepagent.toml
	rm -r usr/share/stepagent DEBIAN/preinst
	echo /etc/stepagent/stepagent.toml >DEBIAN/conffiles
	sed -i '/^if \[ "$1" = configure \]; then$/,/^fi$/d' DEBIAN/postinst
	! grep usr/share DEBIAN/postinst
}

other_default() { sed -i "1i log.level = \"$1\"" usr/share/stepagent/stepagent.toml; }

# without_terminal COMMAND...: without a terminal, as in a timer or a script.
without_terminal() { inside setsid --wait "$@" </dev/null; }
package() { cp "$work/$1"/stepagent_*_amd64.deb "$work/root/root/stepagent.deb"; }
with_apt() { package "$1" && without_terminal apt-get -y --allow-downgrades install /root/stepagent.deb; }
with_dpkg() { package "$1" && without_terminal dpkg -i /root/stepagent.deb; }

edit() { add_key 'session.steps = 3'; }
edit_long() { inside sed -i 's/^steps = 10/steps = 3/' /etc/stepagent/stepagent.toml; }
# in_force: the edit is, in the agent that runs: the third step ends the session.
in_force() {
	local before after
	before=$(inside stepagent status --json | sed -n 's/^ *"completed": \([0-9]*\),*$/\1/Ip')
	quick --host "$agent4" >/dev/null || return 1
	after=$(inside stepagent status --json | sed -n 's/^ *"completed": \([0-9]*\),*$/\1/Ip')
	echo "$before sessions were completed, now $after"
	[ "$after" = $((before + 1)) ]
}
config_is() { inside cmp /etc/stepagent/stepagent.toml "$1"; }
no_leftovers() { same "$(inside ls /etc/stepagent | tr '\n' ' ')" "conf.d stepagent.toml "; }
clean() {
	local audit
	audit=$(inside dpkg --audit) && same "$audit" "" && says '^ii ' inside dpkg -l stepagent && inside apt-get check
}
anew() { inside apt-get purge -y stepagent && "$@"; }

repack "$old" 0.0.1 as_before
repack "$work/0.0.1" 0.0.2 sed -i '1i # Of the next version.' etc/stepagent/stepagent.toml
repack "$new" 0.9.1 other_default info
repack "$new" 0.9.2 other_default warn

for way in with_apt with_dpkg; do
	check "$way: a package with a conffile of every key" anew "$way" 0.0.1
	check "which dpkg knows as one" says stepagent.toml inside dpkg-query -W -f='${Conffiles}' stepagent
	edit_long
	inside systemctl reload stepagent
	inside cp /etc/stepagent/stepagent.toml /root/edited.toml
	check "edited, it is upgraded to one with another config" "$way" 0.9.1
	check "nothing is half configured" clean
	check "the edited config is kept" config_is /root/edited.toml
	check "and in force" in_force
	check "the next upgrade, with another default" "$way" 0.9.2
	check "is clean" clean
	check "and keeps it too" config_is /root/edited.toml
	check "in force" in_force
done
check "a package with another conffile: dpkg stops" not with_apt 0.0.2
check "and leaves the package half configured" says 'stepagent' inside dpkg --audit
check "an upgrade completes" with_apt 0.9.1
check "is clean" clean
check "with the edited config" in_force
check "and nothing beside it" no_leftovers
check "back to the first package" with_apt 0.0.1
check "is clean as well" clean
check "with the edited config" in_force

check "the old package again" anew with_apt 0.0.1
check "not edited, it is upgraded" with_apt 0.9.1
check "is clean" clean
check "and has the short config of the package" config_is /usr/share/stepagent/stepagent.toml
check "nothing else" no_leftovers
check "and serves" serves
edit
inside systemctl reload stepagent
inside cp /etc/stepagent/stepagent.toml /root/edited.toml
check "edited now, and upgraded to another default" with_dpkg 0.9.2
check "is clean" clean
check "keeps the edit" config_is /root/edited.toml
check "in force" in_force
check "with nothing beside it" no_leftovers

check "unattended, with the options of unattended-upgrades" without_terminal apt-get -y --allow-downgrades \
	-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold install /root/stepagent.deb
check "removed" inside apt-get remove -y stepagent
check "reinstalled with another default" with_apt 0.9.1
check "the edit stays" config_is /root/edited.toml
check "in force" in_force
inside rm /etc/stepagent/stepagent.toml
check "a config that was deleted" with_apt 0.9.2
check "stays deleted in an upgrade" not inside test -e /etc/stepagent/stepagent.toml
check "which is clean" clean
check "removed" inside apt-get remove -y stepagent
check "reinstalled" with_apt 0.9.2
check "the config is there again" config_is /usr/share/stepagent/stepagent.toml
check "purged" inside apt-get purge -y stepagent
check "with all of /etc/stepagent" not inside test -e /etc/stepagent
inside mkdir -p /etc/stepagent
printf 'host = "::"\nsession.steps = 3\n' | config
inside cp /etc/stepagent/stepagent.toml /root/edited.toml
check "installed where a config lies already" with_apt 0.9.1
check "it is taken" config_is /root/edited.toml
check "and in force" in_force

inside rm /root/edited.toml
check "the second build, as it is installed" anew install_deb "$new"
