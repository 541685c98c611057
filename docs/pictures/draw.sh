#!/usr/bin/env bash
# draw.sh: makes the pictures of the documents. It needs Go, python3, chromium and a font with Korean.
set -euo pipefail
cd "$(dirname "$0")/../.."

go run ./packaging/tools/pictures
profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$profile" \
	--force-device-scale-factor=1.5 --window-size=960,1180 \
	--screenshot="$PWD/docs/pictures/report.png" "file://$PWD/pcap/failure.html"
go build -o "$profile/bin/" ./agent/cmd/...
docs/pictures/live.py "$profile/bin"
docs/pictures/web.py "$profile/bin"
