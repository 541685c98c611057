#!/usr/bin/env bash
# reproduce.sh [all|common]: builds the commit of dist/ again, at another time and in another folder, with another
# umask, time zone and language, and compares the two builds byte by byte. Bills of materials hold
# the time at which they were made and are left out. The second build is signed with a new key.
. "$(dirname "$0")/lib.sh"
cd "$root"
commit=$(sed -n 's/.*"commit":"\([0-9a-f]*\)".*/\1/p' dist/metadata.json) ||
	die "dist/ holds no build to compare with; run packaging/build.sh"
workdir
readonly clone="$work/another folder" targets=${1:-all}

build() { (
	umask 077
	export GNUPGHOME=$work/gnupg SIGNING_KEY=reproduce@stepagent.example
	mkdir "$GNUPGHOME" &&
		git clone --quiet "$root" "$clone" &&
		cd "$clone" &&
		git checkout --quiet --detach "$commit" &&
		gpg --batch --quiet --passphrase '' --quick-generate-key "$SIGNING_KEY" default sign never &&
		TZ=Pacific/Kiritimati LC_ALL=C packaging/build.sh "$targets" --skip=sbom &&
		gpg --batch --verify dist/SHA256SUMS.asc dist/SHA256SUMS &&
		gpgconf --kill gpg-agent
); }
quietly build

shopt -s nullglob # common has no .zip
sums() { (cd "$1" && sha256sum -- *.deb *.rpm *.tar.gz *.zip); }
sums dist >"$work/first"
sums "$clone/dist" >"$work/second"
diff "$work/first" "$work/second" || die "two builds of $commit differ; diffoscope shows where"
ok "$(wc -l <"$work/first") packages and archives of $commit, built twice, are the same to the byte"
