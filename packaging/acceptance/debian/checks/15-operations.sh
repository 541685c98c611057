# docs/operations.md

mkdir "$work/bench"
check "each command prints what the page shows" go run ./packaging/tools/transcript ${OPERATIONS-} \
	-host board="nsenter -t $leader -a env -i PATH=/usr/sbin:/usr/bin LANG=C.UTF-8 bash" \
	-host bench="ip netns exec $bench env -C $work/bench PATH=$work/client/usr/bin:/usr/bin:/bin bash" docs/operations.md
