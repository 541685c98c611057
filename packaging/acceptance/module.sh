#!/usr/bin/env bash
# module.sh: does what "go install .../stepctl@latest" will do with this commit once it is public, and
# what the author of a validator will do: it makes the module's archive as the module tools do,
# serves it from a folder, and uses it from another module with no network.
. "$(dirname "$0")/lib.sh"
cd "$root"
readonly version=v0.999.0 module=github.com/stepagent/stepagent
workdir

go mod download # the dependencies; nothing is fetched after this
go run -trimpath ./packaging/tools/modproxy -version "$version" "$work/proxy"

export GOPROXY="file://$work/proxy,file://$(go env GOMODCACHE)/cache/download" GOSUMDB=off
export GOPATH=$work/gopath GOMODCACHE=$work/gopath/pkg/mod GOBIN=$work/bin GOFLAGS=-modcacherw GOWORK=off CGO_ENABLED=0
mkdir "$work/elsewhere"
cd "$work/elsewhere"

quietly go install -trimpath "$module/agent/cmd/stepctl@latest"
shown=$("$work/bin/stepctl" version)
[[ $shown == "stepctl ${version#v} ("* ]] || die "the installed client says: $shown"
ok "$shown"
echo '{"test_services":[{"step_id":1,"timeout":5,"interval":1}]}' >steps.json
"$work/bin/stepctl" check steps.json

quietly go mod init example.org/even
cp "$root/packaging/testdata/even/main.go" .
quietly go get "$module/plugins/sdk@$version"
quietly go build -trimpath -o even .
ok "a validator in a module of its own: $(go version -m even | awk '$1 == "dep" && $2 ~ "stepagent" { print $2, $3 }')"
