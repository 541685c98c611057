#!/usr/bin/env bash
# arm.sh [BOARD...]: checks the packages for boards (armhf, arm64 and riscv64, or those named) by emulation
# with qemu:
#
# - the packages of every board hold the same files as those of amd64;
# - from the unpacked packages, agent and client run the demonstration, and a procedure against a
#   user's own validator in a process of its own, which a reload removes;
# - the unit tests pass for 32-bit ARM, where an unaligned 64-bit atomic panics and an int is half as
#   long; arm.skip lists what cannot run in an emulator, with the reason.
#
# Needs root, for binfmt_misc, and the packages that packaging/build.sh leaves in dist/.
. "$(dirname "$0")/lib.sh"
require_root "to register an emulator"
cd "$root"
workdir

# Debian's name of a board, the name in qemu, and the settings of Go.
boards=(
	"armhf arm GOARCH=arm GOARM=6"
	"arm64 aarch64 GOARCH=arm64"
	"riscv64 riscv64 GOARCH=riscv64"
)
[ $# = 0 ] || mapfile -t boards < <(printf '%s\n' "${boards[@]}" | grep -E "^($(IFS='|'; echo "$*")) ")
[ "${#boards[@]}" -ge "$#" ] && [ "${#boards[@]}" -gt 0 ] || die "usage: $script [armhf] [arm64] [riscv64]"
readonly boards
readonly binfmt=/proc/sys/fs/binfmt_misc

# A new process of an emulated multi-threaded program sometimes hangs before its first instruction,
# on a lock of qemu 7.2 that another thread held at the fork. With one thread at work at a time
# it did not happen (0 of 150 starts, against 3 of 150).
export GOMAXPROCS=1

registered=() mounted=
cleanup() {
	local name
	for name in "${registered[@]}"; do echo -1 >"$binfmt/$name"; done
	[ -z "$mounted" ] || umount "$binfmt"
}

# emulate NAME: makes the kernel run programs of an architecture with qemu.
emulate() {
	local name=qemu-$1
	if [ ! -e "$binfmt/register" ]; then
		mount -t binfmt_misc binfmt_misc "$binfmt" || die "binfmt_misc cannot be mounted"
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
	[ -f "${found[0]}" ] || die "dist/ has no package $1 for $2; run packaging/build.sh"
	echo "${found[0]}"
}

# contents FILE: lists the files of a package, without sizes.
contents() { dpkg-deb --contents "$1" | awk '{ print $1, $2, $6, $7, $8 }'; }

compare_contents() {
	local name board
	for name in stepagent stepctl; do
		contents "$(package "$name" amd64)" >"$work/amd64"
		for board in "${boards[@]}"; do
			contents "$(package "$name" "${board%% *}")" | diff "$work/amd64" - ||
				die "the package $name for ${board%% *} holds other files than the one for amd64"
		done
		ok "$name: $(grep -c ^- "$work/amd64") files in each package, the same for every board"
	done
}

# try_board ARCHITECTURE SETTING...: uses the packages of a board as its owner would.
try_board() (
	arch=$1 dir=$work/$1 work=$work/$1 pids=()
	shift
	trap stop_all EXIT
	dpkg-deb --extract "$(package stepagent "$arch")" "$dir"
	dpkg-deb --extract "$(package stepctl "$arch")" "$dir"
	bin=$dir/usr/bin

	for command in stepagent stepctl; do
		version=$("$bin/$command" version)
		[[ $version == *" linux/${1#GOARCH=})" ]] || die "$arch: $command was built for another board: $version"
		settings=$(go version -m "$bin/$command" | awk '$1 == "build" { print $2 }' | grep -Fxf <(printf '%s\n' "$@" CGO_ENABLED=0) | wc -l)
		[ "$settings" -eq $(($# + 1)) ] || die "$arch: $command was not built with $* CGO_ENABLED=0"
	done

	quietly timeout 120 "$bin/stepagent" demo --dir "$dir/demo" || die "$arch: the demonstration failed"
	ok "$arch: the demonstration"

	# A validator of another module, built for the board, as a process.
	env CGO_ENABLED=0 GOOS=linux "$@" go build -trimpath -o "$dir/even" ./packaging/testdata/even
	cat >"$dir/plain.toml" <<-TOML
		[admin]
		socket = "$dir/admin.sock"
		[[validators]]
		name = "sequence"
	TOML
	{
		cat "$dir/plain.toml"
		printf '[[validators]]\nname = "even"\npath = "%s"\n' "$dir/even"
	} >"$dir/agent.toml"
	quietly timeout 60 "$bin/stepagent" check-config "$dir/agent.toml" || die "$arch: the config is refused"
	start_agent --config "$dir/agent.toml"
	procedure() { timeout 60 "$bin/stepctl" run packaging/testdata/quick.json --host 127.0.0.1 --port "$port"; }

	# The validator fails steps with an odd number.
	fails 1 "5 of 10 steps passed" procedure || die "$arch: the validator fails every other step, and the run shows another result"
	cp "$dir/plain.toml" "$dir/agent.toml"
	quietly timeout 60 "$bin/stepagent" reload --admin-socket "$dir/admin.sock" || die "$arch: the reload failed"
	quietly procedure || die "$arch: the procedure failed after the reload"
	stop_agent
	ok "$arch: a user's own validator judged a procedure, and a reload removed it"
)

# unit_tests: runs the tests for 32-bit ARM, without those of arm.skip.
unit_tests() {
	local skip packages tests
	skip=$(sed '/^#/d; /^$/d; / /d; s:^:github.com/stepagent/stepagent/:' "$acceptance/arm.skip")
	packages=$(go list ./... | grep -Fxv "$skip")
	tests=$(sed -n '/^#/d; s/^[^ ]* \(.*\)/^\1$/p' "$acceptance/arm.skip" | paste -sd '|')
	# -short has fewer rounds of the property tests, which take long in an emulator. -p, as GOMAXPROCS
	# would have one package after the other. Within a package tests do not run beside each other: emulated ones
	# compute where others wait.
	# shellcheck disable=SC2086 # one word for each package
	env GOARCH=arm GOARM=6 CGO_ENABLED=0 go test -short -p 2 -parallel 1 -trimpath -tags grpcnotrace -timeout 10m -skip "$tests" $packages \
		>"$work/unit.log" 2>&1 ||
		{ grep -v '^ok\|no test files' "$work/unit.log" >&2; die "unit tests failed for 32-bit ARM"; }
	ok "unit tests for 32-bit ARM: $(grep -c ^ok "$work/unit.log") packages"
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
