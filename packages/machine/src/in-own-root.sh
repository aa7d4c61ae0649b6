#!/bin/sh
# Runs a command, as this very process, in a mount namespace of its own, whose root is that of this process (own-root.sh).
# What the command mounts ends with it.
set -eu
directory=$(dirname "$(readlink -f "$0")")
# shellcheck disable=SC2016
exec unshare --mount --propagation private sh -euc '
  "$0"
  exec nsenter --mount=/proc/$$/ns/mnt --wdns="$PWD" "$@"
' "$directory/own-root.sh" "$@"
