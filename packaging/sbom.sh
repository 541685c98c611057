#!/usr/bin/env bash
# sbom.sh ARTEFACT DOCUMENT VERSION: writes the bill of materials of a package or an archive, as SPDX
# JSON. A package is unpacked first, so that the modules inside its commands are listed and
# not the package's name alone.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
case $1 in
*.deb) bsdtar -xOf "$1" data.tar.gz | bsdtar -xf - -C "$dir" ;;
*) bsdtar -xf "$1" -C "$dir" ;;
esac
SYFT_CHECK_FOR_APP_UPDATE=false syft scan --quiet "dir:$dir" --source-name "$(basename "$1")" --source-version "$3" --output "spdx-json=$2"
