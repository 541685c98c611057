# Steps and pinned tools of .ci/quick and .ci/run.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly golangci_lint=v2.15.0
readonly buf=v1.75.0
tools=$(go env GOPATH)/bin/ci
readonly tools

step() { printf '\n=== %s (%ss)\n' "$*" "$SECONDS"; }

# tool COMMAND PACKAGE VERSION: installs a Go program in $tools, unless that version is there.
tool() { has "$1" "$3" || GOBIN="$tools" go install "$2@$3"; }

has() { [[ $(go version -m "$tools/$1" 2>/dev/null) == *"$2"* ]]; }

golangci() { tool golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint "$golangci_lint"; }

step_format() {
	step "gofmt"
	local unformatted
	unformatted=$(gofmt -l agent configs docs packaging plugins testdata)
	[ -z "$unformatted" ] || { printf 'not formatted, run gofmt -w: %s\n' "$unformatted"; exit 1; }
}

step_vet() { # other systems
	step "go vet"
	go vet ./...
	# The systems that stepctl is built for besides, with the flags of the packages, so that
	# these find the compiled code in the build cache.
	for system in "$@"; do CGO_ENABLED=0 GOOS=$system GOARCH=amd64 go vet -trimpath -tags grpcnotrace ./agent/cmd/stepctl; done
}

step_lint() {
	step "golangci-lint $golangci_lint"
	"$tools/golangci-lint" run ./...
}
