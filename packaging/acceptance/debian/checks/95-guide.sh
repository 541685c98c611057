# docs/guide.md, from a machine without stepagent and a laptop without stepctl

rm -f "$work"/root/root/*.deb
cp -a "$work/root" "$work/laptop"
cp "$old"/stepagent_*_amd64.deb "$work/root/root/"
cp "$old"/stepctl_*_amd64.deb "$work/laptop/root/"
echo "$agent4 board" >>"$work/laptop/etc/hosts"
check "each command prints what the page shows" go run ./packaging/tools/transcript ${GUIDE-} \
	-host board="nsenter -t $leader -a env -i HOME=/root DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin LANG=C.UTF-8 sh -c 'cd && exec bash'" \
	-host laptop="ip netns exec $bench chroot $work/laptop env -i HOME=/root DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 sh -c 'cd && exec bash'" \
	docs/guide.md
