#!/usr/bin/env bash
# debian.sh [OLD NEW | base FOLDER]: boots a Debian 12 with systemd in a container, installs the packages with apt, and
# uses the agent from another host, a network namespace with the files of the package stepctl
# alone. OLD and NEW are folders with the packages of two versions for amd64, .deb and .rpm, and
# with key.asc, the key that signed the rpms; without them, debian.sh builds two versions of the
# commit with different configs and signs them with a new key.
#
# With base, it makes the Debian alone, in a new folder, and ends. The next run takes it as DEBIAN_BASE, which saves
# the time at that point.
#
# Needs root, a Debian with apt sources, and Go; README.md says what it installs and removes.
. "$(dirname "$0")/lib.sh"
require_root "to boot a container"
cd "$root"
. "$acceptance/debian/machine.sh"
readonly signer=acceptance@stepagent.example

install_missing() { # command, Debian package
	command -v "$1" >/dev/null && return
	stage "install $2"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >/dev/null
}
install_missing debootstrap debootstrap
install_missing systemd-nspawn systemd-container
install_missing ip iproute2
install_missing pgrep procps
install_missing gpg gnupg
install_missing ssh-keygen openssh-client

if [ "${1-}" = base ]; then
	[ $# = 2 ] || die "usage: $script base FOLDER"
	base_make "$2"
	exit
fi

cleanup() {
	[ "$1" = 0 ] || show_journal
	machine_stop
}
workdir /var/tmp

signing_key() { # folder, which gets secret.asc and key.asc
	mkdir -m 700 "$1" &&
		gpg --homedir "$1" --batch --passphrase '' --quick-generate-key "$signer" default sign never &&
		gpg --homedir "$1" --batch --armor --output "$1/secret.asc" --export-secret-keys &&
		gpg --homedir "$1" --batch --armor --output "$1/key.asc" --export
}

case $# in
0)
	stage "two builds of the commit"
	git clone -q . "$work/source"
	quietly signing_key "$work/key"
	for version in 0.1.1 0.1.2; do
		# The configs differ, as those of two releases may.
		sed -i "1i # The config that $version installs." "$work/source/packaging/stepagent.toml"
		quietly env GNUPGHOME="$work/key" SIGNING_KEY=$signer RPM_KEY_FILE="$work/key/secret.asc" \
			SNAPSHOT_VERSION=$version "$work/source/packaging/build.sh" amd64
		mkdir "$work/$version"
		mv "$work/source"/dist/*.{deb,rpm} "$work/$version/"
		cp "$work/key/key.asc" "$work/$version/"
	done
	GNUPGHOME=$work/key gpgconf --kill gpg-agent
	old=$work/0.1.1 new=$work/0.1.2
	;;
2) old=$(realpath "$1") new=$(realpath "$2") ;;
*) die "usage: $script [OLD NEW | base FOLDER]" ;;
esac

stage "a Debian 12"
machine_make
mkdir "$work/plugins"
CGO_ENABLED=0 go build -o "$work/plugins/bench" ./packaging/testdata/bench
machine_boot
client_make "$new"

for group in "$acceptance"/debian/checks/*.sh; do
	stage "$(sed -n '1s/^# //p' "$group")"
	. "$group"
done
conclude
