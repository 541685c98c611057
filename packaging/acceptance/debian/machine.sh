# The two hosts: the machine with the agent, a Debian 12 in a container, and the bench, a network
# namespace at the other end of a veth pair, with the files of the package stepctl alone.

readonly machine=sa$$ # short, as it is part of the name of a network interface
readonly examples=packaging/systemd/examples
readonly bench=stepagent-bench-$$
readonly agent4=10.77.0.2 agent6=fd00:77::2 public4=203.0.113.2 public6=2001:db8:77::2

# base_make FOLDER: makes a Debian 12 with what the checks need.
base_make() {
	local mirror release
	# The mirror of this machine.
	read -r mirror release < <(apt-get indextargets --format '$(SITE) $(RELEASE)' \
		'Created-By: Packages' 'Component: main' 'Origin: Debian' 'Codename: bookworm' | head -n 1) || true
	[ -n "${mirror-}" ] || die "the apt sources of this machine have no Debian 12 (bookworm)"
	quietly debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,iproute2,procps,rpm,tcpdump,python3-grpcio,openssl,openssh-server \
		"$release" "$1" "$mirror"
}

# machine_make: makes the machine's files, from $DEBIAN_BASE if that folder was made before.
machine_make() {
	if [ -n "${DEBIAN_BASE-}" ]; then
		cp -a --reflink=auto "$DEBIAN_BASE" "$work/root"
	else
		base_make "$work/root"
	fi
	# No rate limit: the checks count log lines.
	mkdir -p "$work/root/etc/systemd/journald.conf.d"
	printf '[Journal]\nRateLimitBurst=0\n' >"$work/root/etc/systemd/journald.conf.d/all.conf"
}

machine_boot() {
	memory_cgroup
	sh -c '[ -z "$1" ] || echo $$ >"$1/cgroup.procs"; shift; exec "$@"' sh "$cgroup" \
		systemd-nspawn -D "$work/root" --boot --register=no --keep-unit --network-veth --machine="$machine" \
		--console=read-only </dev/null >"$work/console.log" 2>&1 &
	nspawn=$!
	within 30 leader_found || { cat "$work/console.log"; die "the container does not start"; }
	leader=$(pgrep -P "$nspawn" -x systemd)
	within 60 booted || { cat "$work/console.log"; die "Debian does not boot"; }
	memory_controller
	network
}

leader_found() { pgrep -P "$nspawn" -x systemd; }
booted() { case $(inside systemctl is-system-running) in running | degraded) ;; *) return 1 ;; esac; }

# With cgroups of version 1, systemd-nspawn mounts the memory controller read-only; the container
# gets a group of its own, which it may write to.
memory_cgroup() {
	cgroup=
	if [ -d /sys/fs/cgroup/memory ]; then
		cgroup=/sys/fs/cgroup/memory/$machine
		mkdir "$cgroup"
	fi
}

memory_controller() {
	[ -n "$cgroup" ] || return 0
	inside mount -o remount,bind,rw /sys/fs/cgroup/memory
	inside systemctl daemon-reexec
}

network() {
	ip netns add "$bench"
	ip link set "ve-$machine" netns "$bench"
	local on
	for on in 10.77.0.1/24 203.0.113.1/24; do ip -n "$bench" address add "$on" dev "ve-$machine"; done
	for on in fd00:77::1/64 2001:db8:77::1/64; do ip -n "$bench" address add "$on" dev "ve-$machine" nodad; done
	for on in "$agent4/24" "$public4/24"; do inside ip address add "$on" dev host0; done
	for on in "$agent6/64" "$public6/64"; do inside ip address add "$on" dev host0 nodad; done
	ip -n "$bench" link set "ve-$machine" up
	inside ip link set host0 up
}

# show_journal: prints the end of the journal, after a failure.
show_journal() {
	[ -n "${leader-}" ] || return 0
	stage "the end of the journal"
	inside journalctl --no-pager | grep -v 'verdict=pass' | tail -n 200 || true
}

machine_stop() {
	if [ -n "${leader-}" ]; then
		inside systemctl poweroff >/dev/null 2>&1 || true
		wait "$nspawn" || true
	fi
	remove_hosts "$bench"
	[ -z "${cgroup-}" ] || find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || true
}

# inside COMMAND...: runs the command on the machine with the agent, as root.
inside() { nsenter -t "$leader" -a env -i PATH=/usr/sbin:/usr/bin LANG=C.UTF-8 "$@"; }

client_make() { # folder with the packages
	mkdir "$work/client"
	dpkg-deb -x "$1"/stepctl_*_amd64.deb "$work/client"
	mkdir "$work/client/tmp"
}

# client ARGS...: runs stepctl on the bench.
client() { ip netns exec "$bench" chroot "$work/client" /usr/bin/stepctl "$@"; }

# install_deb FOLDER OPTION...: installs the agent's package with apt.
install_deb() {
	cp "$1"/stepagent_*_amd64.deb "$work/root/root/stepagent.deb"
	shift
	inside env DEBIAN_FRONTEND=noninteractive apt-get install -y "$@" /root/stepagent.deb
}

# config: replaces the agent's config with stdin.
config() { cat >"$work/root/etc/stepagent/stepagent.toml"; }

# add_key LINE: adds a key at the top of the config.
add_key() { inside sed -i "1i $1" /etc/stepagent/stepagent.toml; }

main_pid() { inside systemctl show -P MainPID stepagent; }
plugin_pid() { inside stepagent validators --json "$@" | sed -n 's/^ *"PID": \([0-9]*\),*$/\1/Ip' | head -n 1; }
active() { same "$(inside systemctl is-active stepagent)" active; }
journal() { inside journalctl -u stepagent --no-pager "$@"; }

# serves: succeeds if a few steps from the bench pass.
serves() { quick --host "$agent4"; }

# drop_in UNIT NAME LINE...: makes a drop-in as systemctl edit does; with - as LINE, from stdin.
drop_in() {
	local dir=$work/root/etc/systemd/system/$1.d name=$2
	shift 2
	mkdir -p "$dir"
	if [ "$1" = - ]; then cat; else printf '%s\n' "$@"; fi >"$dir/$name.conf"
	inside systemctl daemon-reload
}

no_drop_in() {
	rm "$work/root/etc/systemd/system/$1.d/$2.conf"
	rmdir "$work/root/etc/systemd/system/$1.d"
	inside systemctl daemon-reload
}
