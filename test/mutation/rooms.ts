/**
 * The rooms that decide, for `scripts/mutate`: their sources, and the tests that shall notice what is changed in them.
 * The tests of a mutant end with the first that fails, so what is quick and near stands first, what is random last.
 */
export interface Room {
  readonly sources: readonly string[];
  readonly tests: readonly string[];
}

const SHARED = 'packages/shared/src';
const AGENT = 'packages/node-agent/src';

/** All in these folders, and the folders' own tests before the others. */
const folders = (folders: readonly string[], ...tests: readonly string[]): Room => ({
  sources: folders.map((folder) => `${folder}/*.ts`),
  tests: [...folders.map((folder) => `${folder}/!(*.property).test.ts`), ...tests],
});

export const ROOMS: Readonly<Record<string, Room>> = {
  merge: folders([`${SHARED}/merge`], `${SHARED}/merge/*.property.test.ts`),
  local: folders([`${SHARED}/local`], `${AGENT}/table/*.test.ts`),
  // But for what only joins watches to the table, which tests on real parts run.
  table: {
    sources: [`${AGENT}/table/!(local-cluster).ts`],
    tests: [`${AGENT}/table/*.test.ts`, `${AGENT}/core.test.ts`],
  },
  mesh: folders([`${AGENT}/mesh`]),
  etcd: folders([`${SHARED}/etcd/keyspace`, `${SHARED}/etcd/read`, `${SHARED}/etcd/session`, `${SHARED}/etcd/write`]),
  wire: folders([`${SHARED}/wire`], `${SHARED}/wire/*.property.test.ts`, `${AGENT}/mesh/*.test.ts`),
  planners: {
    sources: [
      `${AGENT}/datapath/ebpf/{map-state,planner,state-difference}.ts`,
      `${AGENT}/datapath/nftables/{as-asked,choices,elements,plan,slots,stale-flows,table-reader}.ts`,
      `${AGENT}/datapath/reconciler.ts`,
    ],
    tests: [
      `${AGENT}/datapath/*.test.ts`,
      `${AGENT}/datapath/ebpf/map-state.test.ts`,
      `${AGENT}/datapath/ebpf/state-difference.test.ts`,
      `${AGENT}/datapath/nftables/*.test.ts`,
      `${AGENT}/datapath/ebpf/planner.test.ts`,
    ],
  },
};
