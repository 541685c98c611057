#!/usr/bin/env bash
# live.sh [FOLDER [PICTURES]]: checks the live page of an agent with a browser (live.py). FOLDER holds the
# programs, bin by default; PICTURES is a folder for screenshots. Needs python3, openssl, chromium, a font with
# Korean, and npm, from whose registry it gets axe-core, which checks accessibility.
. "$(dirname "$0")/lib.sh"
require python3 openssl chromium
programs "${1-}"
workdir
readonly pictures=$(realpath -m "${2:-$work/pictures}")
cd "$work"
axe
PYTHONDONTWRITEBYTECODE=1 python3 "$acceptance/live.py" "$(command -v chromium)" "$bin" \
	"$root/agent/internal/agent/livepage/page" axe.min.js "$work" "$pictures" || fail "the live page is not as required"
ok "live page"
