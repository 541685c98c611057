#!/usr/bin/env bash
# build.sh [amd64] [FLAG...]: makes a snapshot release of this commit in dist/: packages, archives,
# checksums and bills of materials for every architecture; with "amd64", only the packages of that
# architecture, which takes seconds once the build cache is warm. Flags are passed to goreleaser.
#
# SNAPSHOT_VERSION, such as 1.2.3, replaces the version, which is the commit's time by default.
# SIGNING_KEY is the gpg key that signs the checksums; without it nothing is signed.
set -euo pipefail
cd "$(dirname "$0")/.."

targets=all
if [ "${1-}" = amd64 ]; then
	targets=amd64
	set -- "${@:2}" --skip=sbom,archive
fi
[ -n "${SIGNING_KEY-}" ] || set -- "$@" --skip=sign

# bsdtar unpacks packages for their bills of materials.
command -v bsdtar >/dev/null || { echo "build.sh: bsdtar is missing; apt-get install libarchive-tools" >&2; exit 1; }
PATH=$(packaging/tools.sh goreleaser syft):$PATH
export SNAPSHOT_TARGETS=$targets
goreleaser release --snapshot --clean "$@"
