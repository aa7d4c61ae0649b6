#!/bin/sh
# Run in a new mount namespace: makes the root of this process that of the namespace, so that others who enter the
# namespace, and programs that change their root, find it. It is not where this process is chrooted, nor where another
# mount lies over its root, as in some sandboxes.
set -eu
mount_of() (
  exec 3<"$1"
  grep mnt_id /proc/self/fdinfo/3
)
# The parent of the root is the root, with all that lies over it.
while [ "$(mount_of /..)" != "$(mount_of /)" ]; do umount --no-canonicalize --lazy /..; done
nsenter --mount="/proc/$$/ns/mnt" mount --no-canonicalize --rbind "/proc/$$/root" /
