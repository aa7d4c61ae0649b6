/**
 * The oracle: which `address:port` serve a frontend, worked out rule by rule from the reference, without a thought for
 * speed, order or explanation.
 */
import { familyOf, forbiddenAsRemote } from '../model/ip.ts';
import type { LocalEndpoint } from '../model/service.ts';
import type { Frontend } from '../model/service-table.ts';
import type { World } from './world.fixture.ts';

interface Option {
  readonly where: string;
  readonly remote: boolean;
  readonly active: boolean;
}

/** Sorted, as text. */
export function naiveBackends(world: World, frontend: Frontend, node: string): readonly string[] {
  const service = world.service;
  if (!service) return [];
  const number = frontend.kind === 'NodePort' ? 'nodePort' : 'port';
  const port = service.ports.find((each) => each[number] === frontend.port && each.protocol === frontend.protocol);
  if (!port) return [];
  const policy = frontend.kind === 'ClusterIP' ? service.internalTrafficPolicy : service.externalTrafficPolicy;
  const matches = (each: { name: string; protocol: string }): boolean =>
    each.protocol === port.protocol && (port.name === '' || each.name === port.name);
  const options = new Map<string, Option>();

  const slices = world.slices.filter((slice) => service.clusterIps.length === 0 || !slice.headless);
  const addresses = [...new Set(slices.flatMap(({ endpoints }) => endpoints.map(({ address }) => address)))];
  for (const address of addresses) {
    const copies = [...slices]
      .sort((a, b) => (a.key < b.key ? -1 : 1))
      .flatMap(({ endpoints }) => endpoints.filter((each) => each.address === address));
    const best = copies.reduce((a, b) => (score(b) > score(a) ? b : a));
    for (const { port: target } of copies.flatMap(({ ports }) => ports).filter(matches)) {
      const where = `${address} ${target}`;
      const serves = best.ready || (best.serving && best.terminating);
      // An address that stands here, serving or not, is ours: no other cluster's claim to it counts.
      options.set(where, { where, remote: false, active: best.ready });
      if (!serves || (policy === 'Local' && best.node !== node)) options.set(where, { ...NOTHING, where });
    }
  }
  for (const { service: said } of [...world.remotes].sort((a, b) => a.cluster.id - b.cluster.id)) {
    if (!service.global || !said.shared) continue;
    for (const backend of said.backends) {
      if (forbiddenAsRemote(backend.address)) continue;
      for (const { port: target } of backend.ports.filter(matches)) {
        const where = `${backend.address} ${target}`;
        if (options.has(where)) continue;
        options.set(where, policy === 'Local' ? { ...NOTHING, where } : { where, remote: true, active: true });
      }
    }
  }
  const inFamily = [...options.values()].filter(
    (option) => option !== NOTHING && option.where.includes(':') === (familyOf(frontend.address) === 6),
  );
  const usable = inFamily.filter((option) => !('nothing' in option));
  const pool = preferred(usable, service.global ? service.affinity : 'none');
  const active = pool.filter((option) => option.active);
  return (active.length > 0 ? active : pool).map((option) => option.where).sort();
}

const NOTHING = { where: '', remote: false, active: false, nothing: true } as const;

const score = (endpoint: LocalEndpoint): number => Number(endpoint.ready) * 2 + Number(endpoint.serving);

function preferred(options: readonly Option[], affinity: string): readonly Option[] {
  const locals = options.filter((option) => !option.remote);
  const remotes = options.filter((option) => option.remote);
  if (affinity === 'local') return locals.some((option) => option.active) || remotes.length === 0 ? locals : options;
  if (affinity === 'remote') return remotes.length > 0 ? remotes : locals;
  return options;
}
