#!/usr/bin/env bash
# reproduce.sh: builds the commit that dist/ was built from once more, later and in another
# folder, with another umask, time zone and language, and compares what came of it, byte by
# byte. Bills of materials carry the time of their making and are left out. The second build
# signs its checksums, with a key made for it.
set -euo pipefail
cd "$(dirname "$0")/.."

commit=$(sed -n 's/.*"commit":"\([0-9a-f]*\)".*/\1/p' dist/metadata.json) ||
	{ echo "reproduce.sh: nothing to compare with: run packaging/build.sh first" >&2; exit 1; }

elsewhere=$(mktemp -d)
trap 'rm -rf "$elsewhere"' EXIT
(
	umask 077
	git clone --quiet . "$elsewhere/another folder"
	cd "$elsewhere/another folder"
	git checkout --quiet --detach "$commit"
	export GNUPGHOME=$elsewhere/gnupg SIGNING_KEY=reproduce@stepagent.example
	mkdir "$GNUPGHOME"
	gpg --batch --quiet --passphrase '' --quick-generate-key "$SIGNING_KEY" default sign never 2>"$elsewhere/log" &&
		TZ=Pacific/Kiritimati LC_ALL=C packaging/build.sh --skip=sbom >"$elsewhere/log" 2>&1 &&
		gpg --batch --verify dist/SHA256SUMS.asc dist/SHA256SUMS 2>"$elsewhere/log" ||
		{ cat "$elsewhere/log" >&2; exit 1; }
	gpgconf --kill gpg-agent
)

sums() { (cd "$1" && sha256sum -- *.deb *.rpm *.tar.gz *.zip); }
sums dist >"$elsewhere/first"
sums "$elsewhere/another folder/dist" >"$elsewhere/second"
if ! diff "$elsewhere/first" "$elsewhere/second"; then
	echo "reproduce.sh: two builds of $commit differ; diffoscope shows where" >&2
	exit 1
fi
echo "$(wc -l <"$elsewhere/first") packages and archives of $commit, built twice, are the same to the byte"
