#!/usr/bin/env bash
# generate.sh VERSION TIMESTAMP: writes what packages carry beside the commands, below
# packaging/generated: man pages and completions. TIMESTAMP is that of the commit, in seconds,
# and the only time in the result. goreleaser runs this before it builds.
set -euo pipefail
umask 022
cd "$(dirname "$0")/.."

version=$1
date=$(date --utc --date="@$2" +%Y-%m-%dT%H:%M:%SZ)
out=packaging/generated

rm -rf "$out"
for command in stepagent stepctl; do
	env GOOS= GOARCH= CGO_ENABLED=0 go run -trimpath -buildvcs=false -tags manual \
		"./agent/cmd/$command" "$out" "$version" "$date"
done
find "$out" -path "*/man[0-9]/*" -type f -exec gzip --best --no-name {} +
