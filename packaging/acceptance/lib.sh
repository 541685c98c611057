# What the checks are written with.

checks=0 failures=0

stage() { printf '\n=== %s (%ss)\n' "$*" "$SECONDS"; }

die() {
	printf 'acceptance.sh: %s\n' "$*" >&2
	exit 1
}

need() { # a command, and the Debian package that has it
	command -v "$1" >/dev/null && return
	stage "install $2"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >/dev/null
}

# check WHAT COMMAND...: runs the command and prints a line; when it fails, also what it said.
check() {
	local what=$1 out
	shift
	checks=$((checks + 1))
	if out=$("$@" 2>&1); then
		printf 'ok    %s\n' "$what"
	else
		failures=$((failures + 1))
		printf 'FAIL  %s: %s\n%s\n' "$what" "$*" "$(tail -n 60 <<<"$out" | sed 's/^/      /')"
	fi
}

# not COMMAND...: succeeds when the command fails.
not() { ! "$@"; }

# says PATTERN COMMAND...: the command succeeds and prints a line that matches.
says() {
	local pattern=$1 out
	shift
	out=$("$@" 2>&1) || { printf '%s\n' "$out" "(exit $?)"; return 1; }
	grep -qE -- "$pattern" <<<"$out" || { printf '%s\n(want: %s)\n' "$out" "$pattern"; return 1; }
}

# fails CODE PATTERN COMMAND...: the command ends with the code and prints a line that matches.
fails() {
	local code=$1 pattern=$2 out got=0
	shift 2
	out=$("$@" 2>&1) || got=$?
	if [ "$got" != "$code" ] || ! grep -qE -- "$pattern" <<<"$out"; then
		printf '%s\n(exit %s; want exit %s and: %s)\n' "$out" "$got" "$code" "$pattern"
		return 1
	fi
}

# within SECONDS COMMAND...: the command succeeds in so many seconds, tried again and again.
within() {
	local until=$((SECONDS + $1)) out
	shift
	while ! out=$("$@" 2>&1); do
		[ "$SECONDS" -lt "$until" ] || { printf '%s\n' "$out"; return 1; }
		sleep 0.1
	done
}

same() { [ "$1" = "$2" ] || { printf 'got %s, want %s\n' "$1" "$2"; return 1; }; }
differ() { [ "$1" != "$2" ] || { printf 'got %s again\n' "$1"; return 1; }; }
