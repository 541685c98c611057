#!/usr/bin/env bash
# generate.sh VERSION TIMESTAMP (release|snapshot): writes what packages and archives carry
# beside the commands, below packaging/generated: man pages, completions, licences,
# changelogs and the template unit. TIMESTAMP is that of the commit, in seconds, and the only time in the result.
# goreleaser runs this before it builds.
set -euo pipefail
umask 022
cd "$(dirname "$0")/.."

version=$1
date=$(date --utc --date="@$2" +%Y-%m-%dT%H:%M:%SZ)
kind=$3
maintainer=$(sed -n 's/^ *maintainer: &maintainer //p' goreleaser.yaml)
linux=linux/amd64,linux/arm64,linux/arm,linux/riscv64
desks=darwin/amd64,darwin/arm64,windows/amd64,windows/arm64
out=packaging/generated
unset GOOS GOARCH GOARM # these programs run here
export CGO_ENABLED=0

rm -rf "$out"

# The service of one agent of several is stepagent.service, but for its config and folders.
mkdir -p "$out/systemd"
sed -e '1,2c\
# One agent of several on this board, called NAME in stepagent@NAME, with the config\
# /etc/stepagent/NAME.toml. All else is as in stepagent.service, of which this file is made.\
# Change it by drop-ins, for one (systemctl edit stepagent@NAME) or all (stepagent@.service).' \
	-e 's/^Description=stepagent/& %i/' \
	-e 's|^Environment=STEPAGENT_CONFIG=.*|Environment=STEPAGENT_CONFIG=/etc/stepagent/%i.toml|' \
	-e 's/^RuntimeDirectory=.*/RuntimeDirectory=stepagent@%i/' -e 's/^StateDirectory=.*/StateDirectory=stepagent@%i/' \
	packaging/systemd/stepagent.service >"$out/systemd/stepagent@.service"
[ "$(grep -c %i "$out/systemd/stepagent@.service")" = 4 ] || {
	echo "generate.sh: stepagent@.service does not differ from stepagent.service where it must" >&2
	exit 1
}
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
go build -trimpath -buildvcs=false -o "$tools/" ./packaging/tools/copyright ./packaging/tools/changelog
for command in stepagent stepctl; do
	go run -trimpath -buildvcs=false -tags manual "./agent/cmd/$command" "$out" "$version" "$date"

	mkdir -p "$out/$command"
	case $command in
	stepagent) all=$linux ;;
	stepctl) all=$linux,$desks ;;
	esac
	copyright() { "$tools/copyright" -tags grpcnotrace "$@" "./agent/cmd/$command"; }
	copyright -targets "$linux" -common-licenses >"$out/$command/copyright"
	copyright -targets "$linux" >"$out/$command/copyright.full"
	copyright -targets "$all" >"$out/$command/THIRD-PARTY-LICENCES"

	snapshot=false
	[ "$kind" = release ] || snapshot=true
	"$tools/changelog" -package "$command" -version "$version" -date "$date" -snapshot="$snapshot" \
		-maintainer "$maintainer" <CHANGELOG.md >"$out/$command/changelog.Debian"
done
find "$out" \( -path "*/man[0-9]/*" -o -name changelog.Debian \) -type f -exec gzip --best --no-name {} +
