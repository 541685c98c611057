#!/usr/bin/env bash
# module.sh: does what "go install .../stepctl@latest" will do with this commit once it is public, and
# what the author of a validator will do. The go command gets the module from a clone of this
# repository with a tag, by a rewritten address, and everything else from the module cache.
. "$(dirname "$0")/lib.sh"
cd "$root"
readonly version=v0.999.0 module=github.com/stepagent/stepagent max_kib=4096
workdir

go mod download # the dependencies; nothing is fetched after this
git clone -q "$root" "$work/repository"
git -C "$work/repository" tag "$version"
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=url.file://$work/repository.insteadOf GIT_CONFIG_VALUE_0=https://$module
export GOPROXY="file://$(go env GOMODCACHE)/cache/download" GONOPROXY=$module GOSUMDB=off GOVCS="$module:git"
export GOPATH=$work/gopath GOMODCACHE=$work/gopath/pkg/mod GOBIN=$work/bin GOFLAGS=-modcacherw GOWORK=off CGO_ENABLED=0
mkdir "$work/elsewhere"
cd "$work/elsewhere"

quietly go install -trimpath "$module/agent/cmd/stepctl@latest"
shown=$("$work/bin/stepctl" version)
[[ $shown == "stepctl ${version#v} ("* ]] || die "the installed client says: $shown"
ok "$shown"
echo '{"test_services":[{"step_id":1,"timeout":5,"interval":1}]}' >steps.json
"$work/bin/stepctl" check steps.json

# Every user downloads the archive: it must be small and have no captures, which are in pcap/, a
# module of its own.
archive=$GOMODCACHE/cache/download/$module/@v/$version.zip
kib=$(($(stat -c %s "$archive") / 1024))
[ "$kib" -le "$max_kib" ] || die "the archive has $kib KiB; at most $max_kib are allowed"
files=$(python3 -m zipfile -l "$archive")
! grep -E '\.(pcap|pcapng|cap) ' <<<"$files" || die "the archive has captures; keep them in pcap/"
ok "the archive has $(($(wc -l <<<"$files") - 1)) files and $kib KiB"

quietly go mod init example.org/even
cp "$root/packaging/testdata/even/main.go" .
quietly go get "$module/plugins/sdk@$version"
quietly go build -trimpath -o even .
ok "a validator in a module of its own: $(go version -m even | awk '$1 == "dep" && $2 ~ "stepagent" { print $2, $3 }')"
