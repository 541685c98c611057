#!/usr/bin/env bash
# module.sh: what "go install .../stepctl@latest" would do with this commit once it is public,
# and what somebody with a validator of their own would do: the module's archive is made as the
# module tools make it, served from a folder, and used from elsewhere with no network.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly version=v0.999.0 module=github.com/stepagent/stepagent
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

go mod download # what the module needs; from here on nothing is fetched
go run -trimpath ./packaging/tools/modproxy -version "$version" "$work/proxy"

export GOPROXY="file://$work/proxy,file://$(go env GOMODCACHE)/cache/download" GOSUMDB=off
export GOPATH=$work/gopath GOMODCACHE=$work/gopath/pkg/mod GOBIN=$work/bin GOFLAGS=-modcacherw GOWORK=off CGO_ENABLED=0
validator=$PWD/packaging/testdata/even/main.go
mkdir "$work/elsewhere"
cd "$work/elsewhere"

go install -trimpath "$module/agent/cmd/stepctl@latest" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
shown=$("$work/bin/stepctl" version)
[[ $shown == "stepctl ${version#v} ("* ]] || { echo "module.sh: the installed client says: $shown" >&2; exit 1; }
echo "$shown"
echo '{"test_services":[{"step_id":1,"timeout":5,"interval":1}]}' >steps.json
"$work/bin/stepctl" check steps.json

go mod init example.org/even >"$work/log" 2>&1
cp "$validator" .
{ go get "$module/plugins/sdk@$version" && go build -trimpath -o even . ; } >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
echo "a validator in a module of its own: $(go version -m even | awk '$1 == "dep" && $2 ~ "stepagent" { print $2, $3 }')"
