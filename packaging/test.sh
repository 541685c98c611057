#!/usr/bin/env bash
# test.sh: makes a snapshot release of this commit and proves what it is made of, but for what
# takes a booted system (packaging/acceptance) or another processor (arm.sh). It leaves the
# release in dist/ for those. It wants lintian, bsdtar and gpg.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '%4ss  %s\n' "$SECONDS" "$*"; }

log=$(mktemp)
trap 'rm -f "$log"' EXIT
packaging/build.sh >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
for file in dist/*.deb dist/*.rpm dist/*.tar.gz dist/*.zip; do
	[ -s "$file.sbom.json" ] || { echo "test.sh: $file has no bill of materials" >&2; exit 1; }
done
grep -q github.com/hashicorp/go-plugin dist/stepagent_*_armhf.deb.sbom.json ||
	{ echo "test.sh: the bill of materials of a package does not name what is linked into it" >&2; exit 1; }
(cd dist && sha256sum --quiet --check SHA256SUMS)
say "packages, archives, checksums and bills of materials: $(grep -c . dist/SHA256SUMS) files in dist/"

# No error and no warning; what is overridden stands in packaging/deb, with the reason.
found=$(lintian --allow-root --no-tag-display-limit dist/*.deb)
[ -z "$found" ] || { echo "$found" >&2; exit 1; }
say "lintian finds nothing"

packaging/reproduce.sh
say "reproduced"

packaging/module.sh
say "done"
