#!/usr/bin/env bash
# build.sh [amd64] [FLAG...]: makes a snapshot release of this commit in dist/: packages,
# archives, checksums and bills of materials for every architecture; with "amd64", the
# packages of that one alone, which takes seconds once the build cache is warm. The flags go
# to goreleaser.
#
# SNAPSHOT_VERSION, as 1.2.3, stands in for the version that is made of the commit's time.
# SIGNING_KEY is the key of gpg that signs the checksums; without it nothing is signed.
set -euo pipefail
cd "$(dirname "$0")/.."

targets=all
if [ "${1-}" = amd64 ]; then
	targets=amd64
	set -- "${@:2}" --skip=sbom,archive
fi
[ -n "${SIGNING_KEY-}" ] || set -- "$@" --skip=sign

# bsdtar unpacks packages for their bills of materials.
command -v bsdtar >/dev/null || { echo "build.sh: bsdtar is missing: apt-get install libarchive-tools" >&2; exit 1; }
PATH=$(packaging/tools.sh goreleaser syft):$PATH
export SNAPSHOT_TARGETS=$targets
goreleaser release --snapshot --clean "$@"
