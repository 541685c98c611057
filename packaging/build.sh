#!/usr/bin/env bash
# build.sh [all|common|amd64] [FLAG...]: makes a snapshot release of this commit in dist/: packages, archives,
# checksums and bills of materials for every system and architecture. "common" leaves out ARMv7, RISC-V,
# macOS and Windows, which takes half the time. "amd64" makes the packages of that
# architecture alone, in seconds once the build cache is warm. Flags are passed to goreleaser.
#
# SNAPSHOT_VERSION, such as 1.2.3, replaces the version, which is the commit's time by default.
# SIGNING_KEY is the gpg key that signs the checksums; without it nothing is signed.
set -euo pipefail
cd "$(dirname "$0")/.."

targets=all
case ${1-} in
all | common | amd64)
	targets=$1
	shift
	;;
esac
[ "$targets" != amd64 ] || set -- "$@" --skip=sbom,archive
[ -n "${SIGNING_KEY-}" ] || set -- "$@" --skip=sign

# bsdtar unpacks packages for their bills of materials.
command -v bsdtar >/dev/null || { echo "build.sh: bsdtar is missing; apt-get install libarchive-tools" >&2; exit 1; }
PATH=$(packaging/tools.sh goreleaser syft):$PATH
export SNAPSHOT_TARGETS=$targets
goreleaser release --snapshot --clean "$@"
