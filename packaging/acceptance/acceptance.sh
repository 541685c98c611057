#!/usr/bin/env bash
# acceptance.sh [OLD NEW]: boots a Debian 12 with systemd in a container, installs the packages
# with apt, and uses the agent from another host, a network namespace with nothing but the
# files of the package stepctl. OLD and NEW are folders with stepagent_*.deb and stepctl_*.deb
# of two versions, for the upgrade; without them both are built of the commit.
#
# Each check prints a line, and the exit status is 1 when one has failed. It needs root, a
# Debian with apt sources, and go; what it installs beside, and what it leaves: see README.md.
set -euo pipefail
cd "$(dirname "$0")/../.."
readonly here=packaging/acceptance
. "$here/lib.sh"
. "$here/machine.sh"

[ "$(id -u)" = 0 ] || die "needs root, to boot a container"
need debootstrap debootstrap
need systemd-nspawn systemd-container
need ip iproute2
need pgrep procps

work=$(mktemp -d /var/tmp/stepagent-acceptance.XXXXXX)
trap 'status=$?; [ $status = 0 ] || aftermath; machine_stop; rm -rf "$work"; exit $status' EXIT
trap 'exit 130' INT TERM

case $# in
0)
	stage "two builds of the commit"
	git clone -q . "$work/source"
	for version in 0.1.1 0.1.2; do
		SNAPSHOT_VERSION=$version "$work/source/packaging/build.sh" amd64 >"$work/build.log" 2>&1 || {
			cat "$work/build.log"
			die "the build failed"
		}
		mkdir "$work/$version"
		mv "$work/source"/dist/*.deb "$work/$version/"
	done
	old=$work/0.1.1 new=$work/0.1.2
	;;
2) old=$(realpath "$1") new=$(realpath "$2") ;;
*) die "usage: $here/acceptance.sh [OLD NEW]" ;;
esac

stage "a Debian 12"
machine_make
mkdir "$work/plugins"
CGO_ENABLED=0 go build -o "$work/plugins/bench" "./$here/bench"
machine_boot
client_make "$new"

for group in "$here"/checks/*.sh; do
	stage "$(sed -n '1s/^# //p' "$group")"
	. "$group"
done

stage "done: $checks checks, $failures failed"
[ "$failures" = 0 ]
