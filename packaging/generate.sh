#!/usr/bin/env bash
# generate.sh VERSION TIMESTAMP (release|snapshot): writes the generated files of packages and archives
# into packaging/generated: man pages, completions, licences, changelogs and the template unit.
# TIMESTAMP is the time of the commit, in seconds, and the only time in the files. goreleaser
# runs this before it builds.
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
unset GOOS GOARCH GOARM # the programs run on this machine
export CGO_ENABLED=0

rm -rf "$out"

# The unit of one of several agents is stepagent.service with another config and other folders.
mkdir -p "$out/systemd"
sed -e '1,2c\
# One of several agents on this board, stepagent@NAME, with the config /etc/stepagent/NAME.toml. The\
# rest is generated from stepagent.service. Change it with drop-ins, for one agent\
# (systemctl edit stepagent@NAME) or for all (stepagent@.service).' \
	-e 's/^Description=stepagent/& %i/' \
	-e 's|^Environment=STEPAGENT_CONFIG=.*|Environment=STEPAGENT_CONFIG=/etc/stepagent/%i.toml|' \
	-e 's/^RuntimeDirectory=.*/RuntimeDirectory=stepagent@%i/' -e 's/^StateDirectory=.*/StateDirectory=stepagent@%i/' \
	packaging/systemd/stepagent.service >"$out/systemd/stepagent@.service"
[ "$(grep -c %i "$out/systemd/stepagent@.service")" = 4 ] || {
	echo "generate.sh: stepagent@.service must differ from stepagent.service in 4 lines" >&2
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
