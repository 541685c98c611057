#!/usr/bin/env bash
# contract.sh [release]: lints the plugin contract with buf v1.75.0, compares it with released.binpb, and
# requires that the removal of a field is found. With "release" it writes released.binpb after the
# comparison; what is in it can never be removed.
. "$(dirname "$0")/lib.sh"
require buf
version=$(buf --version)
[ "$version" = 1.75.0 ] || die "want buf 1.75.0, got $version"
workdir
cd "$root/plugins/sdk/proto"

buf lint
buf breaking --against released.binpb
if [ "${1-}" = release ]; then
	buf build --exclude-source-info -o released.binpb
	exit
fi

cp -r buf.yaml stepagent "$work"
sed -i '/ gap_ns = 5;/d' "$work/stepagent/validator/v1/validator.proto"
check "the removal of a field is a breaking change" fails 100 gap_ns buf breaking "$work" --against released.binpb
conclude
