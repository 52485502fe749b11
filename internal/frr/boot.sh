#!/bin/sh
# Makes a root directory for a router and goes on in it with router.sh, which
# is the second argument. The root is this machine's, with unpacked packages
# laid over it, and what is written to it is in memory: it is gone with the
# last of the router's processes.
set -eu

mount -t tmpfs layer /mnt
mkdir /mnt/upper /mnt/work /mnt/root
unpacked=$1 router=$2
shift 2
for package in $unpacked; do cp -a "$package/." /mnt/upper/; done
mount -t overlay router -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
cd /mnt/root
mount -t proc proc proc
mount --rbind /dev dev
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=1777 tmp tmp
[ -z "$unpacked" ] || ldconfig -r .
exec chroot . /bin/sh -eu -c "$router" router.sh "$@"
