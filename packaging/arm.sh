#!/usr/bin/env bash
# arm.sh: proves the packages for boards, on a machine that is none, by the emulation of qemu:
#
# - the packages of every board hold the same files as those of amd64;
# - from the unpacked packages, agent and client run a demonstration, and a procedure against a
#   service with a validator of a user's own, in a process of its own, replaced by a reload;
# - the unit tests pass for 32-bit ARM, where a 64-bit atomic that is not aligned panics; what
#   cannot run in an emulator is in arm.skip, with the reason.
#
# It wants root, for binfmt_misc, and what packaging/build.sh has left in dist/.
set -euo pipefail
cd "$(dirname "$0")/.."

# Debian's name of a board, that of qemu, and how Go is told to build for it.
readonly boards=(
	"armhf arm GOARCH=arm GOARM=6"
	"arm64 aarch64 GOARCH=arm64"
	"riscv64 riscv64 GOARCH=riscv64"
)
readonly binfmt=/proc/sys/fs/binfmt_misc

# A new process of an emulated program with several threads now and then stands still before
# its first instruction, for a lock of qemu 7.2 that another thread had when it was forked. With
# one thread at work at a time that was not seen (0 of 150 starts, against 3 of 150).
export GOMAXPROCS=1

work=$(mktemp -d)
registered=() mounted=
cleanup() {
	local name
	for name in "${registered[@]}"; do echo -1 >"$binfmt/$name"; done
	[ -z "$mounted" ] || umount "$binfmt"
	rm -rf "$work"
}
trap cleanup EXIT

say() { printf '%4ss  %s\n' "$SECONDS" "$*"; }
die() { echo "arm.sh: $*" >&2; exit 1; }

# emulate NAME: has the kernel run programs of an architecture by qemu, unless it does.
emulate() {
	local name=qemu-$1
	if [ ! -e "$binfmt/register" ]; then
		mount -t binfmt_misc binfmt_misc "$binfmt" || die "binfmt_misc cannot be mounted; it takes root"
		mounted=yes
	fi
	[ ! -e "$binfmt/$name" ] || return 0
	[ -r "/usr/lib/binfmt.d/$name.conf" ] || die "qemu is missing: apt-get install qemu-user-static"
	cat "/usr/lib/binfmt.d/$name.conf" >"$binfmt/register"
	registered+=("$name")
}

# package NAME ARCHITECTURE: the path of a package in dist/.
package() {
	local found=(dist/"$1"_*_"$2".deb)
	[ -f "${found[0]}" ] || die "dist/ has no package $1 for $2: run packaging/build.sh first"
	echo "${found[0]}"
}

# contents FILE: what a package holds, but for sizes.
contents() { dpkg-deb --contents "$1" | awk '{ print $1, $2, $6, $7, $8 }'; }

compare_contents() {
	local name board
	for name in stepagent stepctl; do
		contents "$(package "$name" amd64)" >"$work/amd64"
		for board in "${boards[@]}"; do
			contents "$(package "$name" "${board%% *}")" | diff "$work/amd64" - ||
				die "the package $name for ${board%% *} holds other files than that for amd64"
		done
		say "$name: $(grep -c ^- "$work/amd64") files in each package, the same for every board"
	done
}

# port_of LOG PID: waits until the agent of the process listens, and prints its port.
port_of() {
	local port
	while kill -0 "$2" 2>/dev/null; do
		port=$(sed -n 's/.*"msg":"agent started".*"address":"[^"]*:\([0-9]*\)".*/\1/p' "$1")
		[ -z "$port" ] || { echo "$port"; return; }
		sleep 0.1
	done
	return 1
}

# try_board ARCHITECTURE SETTING...: uses the packages of a board as its owner would.
try_board() (
	arch=$1 dir=$work/$1 pid=
	shift
	trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null' EXIT
	dpkg-deb --extract "$(package stepagent "$arch")" "$dir"
	dpkg-deb --extract "$(package stepctl "$arch")" "$dir"
	PATH=$dir/usr/bin:$PATH

	for command in stepagent stepctl; do
		line=$("$command" version)
		[[ $line == *" linux/${1#GOARCH=})" ]] || die "$arch: $command says it is for another: $line"
		line=$(go version -m "$dir/usr/bin/$command" | awk '$1 == "build" { print $2 }' | grep -Fxf <(printf '%s\n' "$@" CGO_ENABLED=0) | wc -l)
		[ "$line" -eq $(($# + 1)) ] || die "$arch: $command was not built with $* CGO_ENABLED=0"
	done

	timeout 120 stepagent demo --dir "$dir/demo" >"$dir/demo.out" 2>&1 || { cat "$dir/demo.out" >&2; die "$arch: the demonstration failed"; }
	say "$arch: $(tail -n 1 "$dir/demo.out")"

	# A validator that somebody else has written, built for the board, in a service.
	env CGO_ENABLED=0 GOOS=linux "$@" go build -trimpath -o "$dir/even" ./packaging/testdata/even
	cat >"$dir/agent.toml" <<-TOML
		host = "127.0.0.1"
		port = 0
		[admin]
		socket = "$dir/admin.sock"
		[[validators]]
		name = "sequence"
	TOML
	cp "$dir/agent.toml" "$dir/plain.toml"
	printf '[[validators]]\nname = "even"\npath = "%s"\n' "$dir/even" >>"$dir/agent.toml"
	timeout 60 stepagent check-config "$dir/agent.toml" >"$dir/check.log" 2>&1 || { cat "$dir/check.log" >&2; die "$arch: the config is refused"; }
	stepagent serve --config "$dir/agent.toml" --log-format json >"$dir/agent.log" 2>&1 &
	pid=$!
	port=$(port_of "$dir/agent.log" "$pid") || { cat "$dir/agent.log" >&2; die "$arch: the agent did not start"; }

	# Steps with an odd number fail by the rule of that validator.
	if timeout 60 stepctl run packaging/testdata/quick.json --host 127.0.0.1 --port "$port" >"$dir/run.log" 2>&1; then
		die "$arch: the procedure passed a validator that fails every other step"
	fi
	grep -q "5 of 10 steps passed" "$dir/run.log" || { cat "$dir/run.log" >&2; die "$arch: not 5 of 10 steps passed"; }

	cp "$dir/plain.toml" "$dir/agent.toml"
	timeout 60 stepagent reload --admin-socket "$dir/admin.sock" >"$dir/reload.log" 2>&1 || { cat "$dir/reload.log" >&2; die "$arch: the reload failed"; }
	timeout 60 stepctl run packaging/testdata/quick.json --host 127.0.0.1 --port "$port" >"$dir/run.log" 2>&1 ||
		{ cat "$dir/run.log" >&2; die "$arch: the procedure failed after the reload"; }
	kill -TERM "$pid"
	wait "$pid" || { cat "$dir/agent.log" >&2; die "$arch: the agent did not stop as it should"; }
	pid=
	say "$arch: a validator of a user's own judged a procedure, and a reload took it away"
)

# unit_tests: the suite for 32-bit ARM, but for what arm.skip names.
unit_tests() {
	local skip packages tests
	skip=$(sed '/^#/d; /^$/d; / /d; s:^:github.com/stepagent/stepagent/:' packaging/arm.skip)
	packages=$(go list ./... | grep -Fxv "$skip")
	tests=$(sed -n '/^#/d; s/^[^ ]* \(.*\)/^\1$/p' packaging/arm.skip | paste -sd '|')
	# shellcheck disable=SC2086 # one word for each package
	env GOARCH=arm GOARM=6 CGO_ENABLED=0 go test -trimpath -tags grpcnotrace -timeout 5m -skip "$tests" $packages >"$work/unit.log" 2>&1 ||
		{ grep -v '^ok\|no test files' "$work/unit.log" >&2; die "unit tests failed for 32-bit ARM"; }
	say "unit tests for 32-bit ARM: $(grep -c ^ok "$work/unit.log") packages"
}

for board in "${boards[@]}"; do
	read -r _ qemu _ <<<"$board"
	emulate "$qemu"
done
compare_contents
pids=()
for board in "${boards[@]}"; do
	read -ra words <<<"$board"
	try_board "${words[0]}" "${words[@]:2}" &
	pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || failed=yes; done
[ -z "${failed-}" ] || exit 1
unit_tests
say "done"
