#!/usr/bin/env bash
# live.sh [FOLDER [PICTURES]]: checks the live page of an agent with a browser (live.py). FOLDER holds the
# programs, bin by default; PICTURES is a folder for screenshots. Needs python3, chromium, a font with
# Korean, and npm, from whose registry it gets axe-core, which checks accessibility.
. "$(dirname "$0")/lib.sh"
require python3 chromium npm
programs "${1-}"
workdir
readonly pictures=$(realpath -m "${2:-$work/pictures}")
readonly axe=axe-core@4.14.1
readonly axe_sum=e63e659f9806d7ae5bd40899043b0871a5062c5442b01b3f1a3edf5eaf50bf5c3a7104a72463293b4ad1b77c661a0d4e40e850dec89de9d6ece70a8c13a9af17
[ -n "$(fc-list :lang=ko)" ] || die "no font has Korean; install the package fonts-nanum"

cd "$work"
quietly npm pack --silent "$axe"
tar -xzf axe-core-*.tgz package/axe.min.js
sha512sum --check --quiet <<<"$axe_sum  package/axe.min.js" || fail "axe-core is not the version that was reviewed"

PYTHONDONTWRITEBYTECODE=1 python3 "$acceptance/live.py" "$(command -v chromium)" "$bin" \
	"$root/agent/internal/agent/livepage/page" package/axe.min.js "$work" "$pictures" || fail "the live page is not as required"
ok "live page"
