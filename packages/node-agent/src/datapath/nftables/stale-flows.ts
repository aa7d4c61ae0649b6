/** Which tracked UDP flows a change of frontends has made stale. Pure. */
import { familyOf } from '@tombolo/shared/model/ip.ts';
import type { RouteBackend } from '@tombolo/shared/model/routes.ts';
import type { ConntrackEntry } from './conntrack-messages.ts';
import type { ServedChanges } from './plan.ts';
import type { Served } from './slots.ts';

const UDP = 17;

export interface StaleFlows {
  /** The families in which there may be some; empty when connection tracking need not be asked. */
  readonly families: ReadonlySet<4 | 6>;
  readonly isStale: (entry: ConntrackEntry) => boolean;
}

interface Gone {
  /** `address port` of backends that this frontend had and has no more. */
  readonly backends: ReadonlySet<string>;
  /** Flows that began before the frontend was served, and so were never translated. */
  readonly untranslated: boolean;
}

export function staleFlows(before: ReadonlyMap<string, Served>, changes: ServedChanges): StaleFlows {
  const gone = new Map<string, Gone>();
  const families = new Set<4 | 6>();
  for (const [id, after] of changes) {
    const old = before.get(id);
    const frontend = (after ?? old)?.frontend;
    if (frontend?.protocol !== 'UDP') continue;
    const kept = new Set((after?.backends ?? []).map(nameOf));
    const backends = new Set((old?.backends ?? []).map(nameOf).filter((name) => !kept.has(name)));
    const untranslated = old === undefined && kept.size > 0;
    if (backends.size === 0 && !untranslated) continue;
    const key = frontend.kind === 'NodePort' ? `* ${String(frontend.port)}` : nameOf(frontend);
    gone.set(key, { backends, untranslated });
    families.add(familyOf(frontend.address));
  }
  const isStale = ({ original, reply }: ConntrackEntry): boolean => {
    if (original.protocol !== UDP) return false;
    const asked = nameOf({ address: original.destination, port: original.destinationPort });
    const answering = nameOf({ address: reply.source, port: reply.sourcePort });
    const frontend = gone.get(asked);
    if (frontend?.untranslated === true && answering === asked) return true;
    const nodePort = gone.get(`* ${String(original.destinationPort)}`);
    return frontend?.backends.has(answering) === true || nodePort?.backends.has(answering) === true;
  };
  return { families, isStale };
}

const nameOf = ({ address, port }: Pick<RouteBackend, 'address' | 'port'>): string => `${address} ${String(port)}`;
