#!/usr/bin/env bash
# tools.sh NAME...: installs the named release tools at their pinned versions, and prints their folder.
set -euo pipefail

declare -Ar packages=(
	[goreleaser]=github.com/goreleaser/goreleaser/v2@v2.16.0 # 2.17 and later need more than Go 1.26
	[syft]=github.com/anchore/syft/cmd/syft@v1.54.1
)

dir=$(go env GOPATH)/bin/release-tools
mkdir -p "$dir"
for name in "$@"; do
	package=${packages[$name]-}
	[ -n "$package" ] || { echo "tools.sh: unknown tool $name" >&2; exit 2; }
	installed=$(go version -m "$dir/$name" 2>/dev/null | awk '$1 == "mod" { print $3 }') || installed=
	[ "$installed" = "${package#*@}" ] ||
		env GOOS= GOARCH= GOFLAGS= GOBIN="$dir" go install "$package" >&2
done
echo "$dir"
