#!/usr/bin/env bash
# packages.sh [all|common]: makes a snapshot release of this commit in dist/, of the targets of
# packaging/build.sh, and checks the packages: checksums, bills of materials, lintian, with all targets a second
# build (reproduce.sh), and the module's archive (module.sh). arm.sh uses the packages. Needs lintian, bsdtar
# and gpg.
. "$(dirname "$0")/lib.sh"
require lintian bsdtar gpg
cd "$root"

readonly targets=${1:-all}
quietly packaging/build.sh "$targets"
shopt -s nullglob # common has no .zip
for file in dist/*.deb dist/*.rpm dist/*.tar.gz dist/*.zip; do
	[ -s "$file.sbom.json" ] || die "$file has no bill of materials"
done
grep -q github.com/hashicorp/go-plugin dist/stepagent_*_armhf.deb.sbom.json ||
	die "the bill of materials of a package does not name the modules linked into it"
(cd dist && sha256sum --quiet --check SHA256SUMS)
ok "packages, archives, checksums and bills of materials: $(grep -c . dist/SHA256SUMS) files in dist/"

# No error and no warning; the overrides are in packaging/deb, with the reasons.
found=$(lintian --allow-root --no-tag-display-limit dist/*.deb)
[ -z "$found" ] || die "$found"
ok "lintian finds nothing"

[ "$targets" = common ] || "$acceptance/reproduce.sh" "$targets" # a release has all
"$acceptance/module.sh"
