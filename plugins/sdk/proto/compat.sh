#!/bin/sh
# Holds the contract to its rules: usage: compat.sh [release]
#
# It needs buf v1.75.0. Without an argument it lints the contract, compares it with
# released.binpb, and sees that a field which is taken away would be found. With release it
# writes released.binpb, which a release does after the comparison: what is in it can never be
# taken back.
set -eu
cd "$(dirname "$0")"

got=$(buf --version)
[ "$got" = 1.75.0 ] || { echo "compat.sh: want buf 1.75.0, got $got" >&2; exit 1; }
buf lint
buf breaking --against released.binpb
if [ "${1:-}" = release ]; then
	buf build --exclude-source-info -o released.binpb
	exit
fi

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cp -r buf.yaml stepagent "$dir"
sed -i '/ gap_ns = 5;/d' "$dir/stepagent/validator/v1/validator.proto"
if said=$(buf breaking "$dir" --against released.binpb); then
	echo "compat.sh: a field that was taken away was not found" >&2
	exit 1
fi
case $said in
*gap_ns*) ;;
*) echo "compat.sh: $said" >&2; exit 1 ;;
esac
