#!/bin/sh
# Starts FRR and an SSH server, and is their first process: what is left of
# them ends with it. The configuration for FRR comes on standard input; when
# everything runs, the SSH server's public key goes to standard output.
set -eu
# shellcheck disable=SC2034 # $key is for user.sh
name=$1 port=$2 key=$3 daemons=$4 user=$5 sshd=$6

echo "$name" >/proc/sys/kernel/hostname

# Accounts that the packages make when they are installed.
for group in frr frrvty; do
	getent group $group >/dev/null || groupadd --system $group
done
getent passwd frr >/dev/null || useradd --system --gid frr --groups frrvty --no-create-home frr
getent passwd sshd >/dev/null || useradd --system --no-create-home --shell /usr/sbin/nologin sshd

# FRR, as it is started on a machine of its own.
rm -rf /etc/frr /etc/default/frr /etc/sysconfig/frr
install -d -o frr -g frr -m 750 /etc/frr
umask 027
cat >/etc/frr/frr.conf
echo 'service integrated-vtysh-config' >/etc/frr/vtysh.conf
{
	echo "vtysh_enable=yes"
	for daemon in $daemons; do echo "$daemon=yes"; done
	# No telnet. Without --v6-rr-semantics zebra changes an IPv6 route by removing
	# it and adding it again.
	echo "zebra_options='-A 127.0.0.1 -P 0 --v6-rr-semantics'"
	for daemon in staticd $daemons; do echo "${daemon}_options='-A 127.0.0.1 -P 0'"; done
} >/etc/frr/daemons
chown frr:frr /etc/frr/*
umask 022
/usr/lib/frr/frrinit.sh start </dev/null >&2
# The daemons run now; each is given its configuration by a script beside it.
while pidof -x watchfrr.sh >/dev/null; do sleep 0.01; done

# The SSH server, with our user: user.sh and sshd.conf are docs/cisco.md's.
userdel routesteer 2>/dev/null || :
rm -rf /home/routesteer /etc/ssh/ssh_host_*
(eval "$user")
{
	echo "ListenAddress 127.0.0.1:$port"
	echo "HostKey /etc/ssh/ssh_host_ed25519_key"
	echo "UsePAM yes"
	echo "PrintLastLog no"
	echo "$sshd"
} >/etc/ssh/sshd_config
mkdir -p /run/sshd
ssh-keygen -q -t ed25519 -N '' -C "$name" -f /etc/ssh/ssh_host_ed25519_key </dev/null >&2
/usr/sbin/sshd -D -e -f /etc/ssh/sshd_config </dev/null >&2 &
server=$!
until [ -s /run/sshd.pid ]; do
	kill -0 $server
	sleep 0.01
done

cat /etc/ssh/ssh_host_ed25519_key.pub
exec >&2
wait $server
