/**
 * Where a program runs: in which network namespace and in which control group. The program is put there before its
 * first instruction, and keeps the process id that it was started with.
 *
 * `nsenter` and not `ip netns exec`: the latter also gives the program a /sys of its own, without our cgroups in it.
 */
export interface Placement {
  /** The name of a namespace below /run/netns. Absent: the one that we are in. */
  readonly netns?: string | undefined;
  /** The path of an existing cgroup2 directory. Absent: the one that we are in. */
  readonly cgroup?: string | undefined;
}

const ENTER = 'echo $$ >"$1/cgroup.procs" || exit 125; shift; exec "$@"';

export function placed(argv: readonly string[], { netns, cgroup }: Placement): readonly string[] {
  const entered = netns === undefined ? argv : ['nsenter', `--net=/run/netns/${netns}`, '--', ...argv];
  return cgroup === undefined ? entered : ['/bin/sh', '-c', ENTER, 'place', cgroup, ...entered];
}
