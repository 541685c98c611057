#!/usr/bin/env bash
# build.sh [amd64]: makes a snapshot release of this commit in dist/: packages, archives,
# checksums and bills of materials for every architecture; with "amd64", the packages of that
# one alone, which takes seconds once the build cache is warm.
#
# SNAPSHOT_VERSION, as 1.2.3, stands in for the version that is made up of the commit's time.
set -euo pipefail
cd "$(dirname "$0")/.."

case ${1-all} in
all) skip=sign ;;
amd64) skip=sign,sbom,archive ;;
*) echo "usage: packaging/build.sh [amd64]" >&2; exit 2 ;;
esac

PATH=$(packaging/tools.sh goreleaser syft):$PATH
SNAPSHOT_TARGETS=${1-all} goreleaser release --snapshot --clean --skip="$skip"
