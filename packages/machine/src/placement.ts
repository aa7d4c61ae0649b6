/**
 * Where a program runs: in which network namespace and in which control group. The program is put there before its
 * first instruction, and keeps the process id that it was started with.
 *
 * `nsenter` and not `ip netns exec`: the latter also gives the program a /sys of its own, without our cgroups in it.
 */
export interface Placement {
  /** The name of a namespace below /run/netns, or the path of one. Absent: the one that we are in. */
  readonly netns?: string | undefined;
  /** The path of a mount namespace. Absent: the one that we are in. */
  readonly mounts?: string | undefined;
  /** The path of an existing cgroup2 directory. Absent: the one that we are in. */
  readonly cgroup?: string | undefined;
}

const ENTER = 'echo $$ >"$1/cgroup.procs" || exit 125; shift; exec "$@"';

export function placed(argv: readonly string[], { netns, mounts, cgroup }: Placement): readonly string[] {
  const namespaces = [
    ...(netns === undefined ? [] : [`--net=${netns.startsWith('/') ? netns : `/run/netns/${netns}`}`]),
    ...(mounts === undefined ? [] : [`--mount=${mounts}`]),
  ];
  const entered = namespaces.length === 0 ? argv : ['nsenter', ...namespaces, '--', ...argv];
  return cgroup === undefined ? entered : ['/bin/sh', '-c', ENTER, 'place', cgroup, ...entered];
}
