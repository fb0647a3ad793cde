#!/bin/sh
# From fresh namespaces to systemd as PID 1. Run by machine.py as the first process of its PID namespace:
#   boot.sh IMAGE SCRATCH SEED
# IMAGE    a root file system, only read
# SCRATCH  an empty folder: all changes go to a tmpfs mounted there, seen by this host alone
# SEED     files of this host's own, and the socket `notify` on which systemd says that it is up
# What is mounted here ends with the mount namespace: there is nothing to unmount afterwards.
set -eu
image=$1 scratch=$2 seed=$3
# Tell that the namespaces are there, and let go of that pipe.
echo entered
exec >&2

mount --make-rprivate /
mount -t tmpfs -o mode=0755 host "$scratch"
mkdir "$scratch/upper" "$scratch/work" "$scratch/root"
root=$scratch/root
mount -t overlay -o "lowerdir=$image,upperdir=$scratch/upper,workdir=$scratch/work" overlay "$root" || {
    # No overlayfs, or not on this file system: a copy costs a second or two, and memory.
    cp -a "$image/." "$root/"
    # PID 1 needs a mount point to pivot into.
    mount --bind "$root" "$root"
}
cp -a "$seed/root/." "$root/"
cd "$root"

# The kernel's settings are the machine's, not the host's: only those of its own network may be changed.
# https://systemd.io/CONTAINER_INTERFACE/
mount -t proc -o nosuid,nodev,noexec proc proc
mount --bind proc/sys proc/sys
mount --bind proc/sys/net proc/sys/net
mount -o remount,bind,ro,nosuid,nodev,noexec proc/sys
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
# Version 2 alone, wherever the machine has it: systemd since 256 refuses to start on version 1.
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 sys/fs/cgroup

mount -t tmpfs -o mode=0755,nosuid dev dev
for node in null zero full random urandom tty; do
    : >"dev/$node"
    mount --bind "/dev/$node" "dev/$node"
done
mkdir dev/net
: >dev/net/tun
mount --bind /dev/net/tun dev/net/tun
mkdir dev/pts dev/shm dev/mqueue
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=1777,nosuid,nodev shm dev/shm
mount -t mqueue mqueue dev/mqueue
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for number_name in 0:stdin 1:stdout 2:stderr; do
    ln -s "/proc/self/fd/${number_name%%:*}" "dev/${number_name#*:}"
done
mount -t tmpfs -o mode=0755,nosuid,nodev run run
mkdir run/host
: >run/host/notify
mount --bind "$seed/notify" run/host/notify
mkdir run/host/old
pivot_root . run/host/old

# What systemd-nspawn leaves a container, less mknod: no loading of modules, setting of clocks, opening of
# the machine's disks. The network is the host's own, so it may administer that.
keep=+audit_control,+audit_write,+chown,+dac_override,+dac_read_search,+fowner,+fsetid,+ipc_owner,+kill
keep=$keep,+lease,+linux_immutable,+net_admin,+net_bind_service,+net_broadcast,+net_raw,+setfcap,+setgid
keep=$keep,+setpcap,+setuid,+sys_admin,+sys_boot,+sys_chroot,+sys_nice,+sys_ptrace,+sys_resource,+sys_tty_config
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=blumeops NOTIFY_SOCKET=/run/host/notify \
    setpriv --inh-caps=-all --bounding-set="-all,$keep" \
    sh -c 'umount -l /run/host/old && rmdir /run/host/old && exec /usr/lib/systemd/systemd'
