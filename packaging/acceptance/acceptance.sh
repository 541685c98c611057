#!/usr/bin/env bash
# acceptance.sh [OLD NEW]: boots a Debian 12 with systemd in a container, installs the packages
# with apt, and uses the agent from another host, a network namespace with nothing but the
# files of the package stepctl. OLD and NEW are folders with the packages of amd64 of two versions,
# .deb and .rpm, for the upgrade, and with key.asc, whose key has signed the latter; without them
# both are built of the commit, with different configs, and signed with a key made for it.
#
# Each check prints a line, and the exit status is 1 when one has failed. It needs root, a
# Debian with apt sources, and go; what it installs beside, and what it leaves: see README.md.
set -euo pipefail
cd "$(dirname "$0")/../.."
readonly here=packaging/acceptance signer=acceptance@stepagent.example
. "$here/lib.sh"
. "$here/machine.sh"

[ "$(id -u)" = 0 ] || die "needs root, to boot a container"
need debootstrap debootstrap
need systemd-nspawn systemd-container
need ip iproute2
need pgrep procps
need gpg gnupg

work=$(mktemp -d /var/tmp/stepagent-acceptance.XXXXXX)
trap 'status=$?; [ $status = 0 ] || aftermath; machine_stop; rm -rf "$work"; exit $status' EXIT
trap 'exit 130' INT TERM

signing_key() { # in a folder: secret.asc, and key.asc for everybody
	mkdir -m 700 "$1"
	{
		gpg --homedir "$1" --batch --passphrase '' --quick-generate-key "$signer" default sign never &&
			gpg --homedir "$1" --batch --armor --output "$1/secret.asc" --export-secret-keys &&
			gpg --homedir "$1" --batch --armor --output "$1/key.asc" --export
	} 2>"$work/key.log" || { cat "$work/key.log"; die "gpg makes no key"; }
}

case $# in
0)
	stage "two builds of the commit"
	git clone -q . "$work/source"
	signing_key "$work/key"
	for version in 0.1.1 0.1.2; do
		# The two have different configs, as packages of different years may.
		sed -i "1i # The config that $version installs." "$work/source/packaging/stepagent.toml"
		GNUPGHOME=$work/key SIGNING_KEY=$signer RPM_KEY_FILE=$work/key/secret.asc SNAPSHOT_VERSION=$version \
			"$work/source/packaging/build.sh" amd64 >"$work/build.log" 2>&1 || {
			cat "$work/build.log"
			die "the build failed"
		}
		mkdir "$work/$version"
		mv "$work/source"/dist/*.{deb,rpm} "$work/$version/"
		cp "$work/key/key.asc" "$work/$version/"
	done
	GNUPGHOME=$work/key gpgconf --kill gpg-agent
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
