#!/usr/bin/env bash
# web.sh [FOLDER [PICTURES]]: checks the page of stepctl web with a browser (web.py). FOLDER holds the programs,
# bin by default; PICTURES is a folder for screenshots. Needs python3, chromium, a font with Korean, and npm, from
# whose registry it gets axe-core, which checks accessibility.
. "$(dirname "$0")/lib.sh"
require python3 chromium
programs "${1-}"
workdir
readonly pictures=$(realpath -m "${2:-$work/pictures}")
cd "$work"
axe
PYTHONDONTWRITEBYTECODE=1 python3 "$acceptance/web.py" "$(command -v chromium)" "$bin" axe.min.js "$work" "$pictures" ||
	fail "the page of a database is not as required"
ok "page of a database"
