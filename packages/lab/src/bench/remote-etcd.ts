/**
 * A helper: the etcd of a cluster as its clustermesh-apiserver fills it, and as fast as one is told to change it. Uses
 * etcd3 alone, none of our own etcd code.
 *
 *   remote-etcd.ts ENDPOINT NAME ID
 *
 *   {"do": "fill", "services": 10000, "backends": 25}      writes everything that is not there yet, canaries last
 *   {"do": "large", "backends": 10000, "without": 17}      the large Service; `without`: which backend is missing, if any
 *   {"do": "churn", "backends": …, "large": {"backends": …, "perSecond": 20}, "services": …, "perSecond": 2000}
 *   {"do": "rest"}                                         ends the churn → {"large": puts, "small": puts, "seconds": …}
 *   {"do": "entry", "key": …}                              → {"version": puts so far, "bytes": of its value}
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Etcd3 } from 'etcd3';
import { serve } from './helper.ts';
import {
  canaryEntries,
  configEntry,
  type Entry,
  heartbeatEntry,
  largeEntry,
  type RemoteCluster,
  serviceEntry,
} from './remote-entries.ts';

export interface Churn {
  readonly services: number;
  readonly backends: number;
  readonly perSecond: number;
  readonly large: { readonly backends: number; readonly perSecond: number };
}

export type Question =
  | { readonly do: 'fill'; readonly services: number; readonly backends: number }
  | { readonly do: 'large'; readonly backends: number; readonly without?: number }
  | ({ readonly do: 'churn' } & Churn)
  | { readonly do: 'rest' }
  | { readonly do: 'entry'; readonly key: string };

export interface Churned {
  readonly large: number;
  readonly small: number;
  readonly seconds: number;
}

const HEARTBEAT_MS = 20_000;
/** As Cilium's pool of leases: etcd slows down with many keys on one. */
const KEYS_A_LEASE = 1000;
const LEASE_SECONDS = 900;
/** Entries in one transaction, where nothing depends on their being alone. */
const AT_ONCE = 50;

const [endpoint = '', name = '', id = ''] = process.argv.slice(2);
const cluster: RemoteCluster = { name, id: Number(id) };
const client = new Etcd3({ hosts: endpoint });
const leases = new Map<string, Promise<string>>();
let newest: Promise<string>;
let filled = 0;
let heartbeat: NodeJS.Timeout | undefined;
let churning: { stop: AbortController; done: Promise<Churned> } | undefined;

/** The same for all puts of a key. */
function leaseOf(key: string): Promise<string> {
  const had = leases.get(key);
  if (had !== undefined) return had;
  if (leases.size % KEYS_A_LEASE === 0) newest = client.lease(LEASE_SECONDS, { autoKeepAlive: false }).grant();
  leases.set(key, newest);
  return newest;
}

async function put([key, value]: Entry): Promise<void> {
  await client.put(key).value(value).lease(leaseOf(key));
}

/** One transaction, as many events. */
async function putAll(entries: readonly Entry[]): Promise<void> {
  await client
    .if('cilium/none', 'Version', '==', 0)
    .then(...entries.map(([key, value]) => client.put(key).value(value).lease(leaseOf(key))))
    .commit();
}

const now = (): string => new Date().toISOString();

async function fill(services: number, backends: number): Promise<object> {
  await put(configEntry(cluster));
  await put(heartbeatEntry(now()));
  heartbeat ??= setInterval(() => void put(heartbeatEntry(now())), HEARTBEAT_MS);
  while (filled < services) {
    const some = Array.from({ length: Math.min(AT_ONCE, services - filled) }, (_, i) => filled + i);
    await putAll(some.map((service) => serviceEntry(cluster, service, { backends })));
    filled += some.length;
  }
  for (const entry of canaryEntries(cluster, now())) await put(entry);
  return { services: filled };
}

/** Each is written with a backend missing, and the next time as it was. */
async function churn({ services, backends, perSecond, large }: Churn, signal: AbortSignal): Promise<Churned> {
  const variants = [{ without: 0 }, {}].map((more) => largeEntry(cluster, { backends: large.backends, ...more }));
  const began = performance.now();
  const churned = { large: 0, small: 0 };
  /** As many steps as are due by then, unless etcd is slower. */
  const keepUp = async (rate: number, step: (count: number) => Promise<void>): Promise<void> => {
    for (let count = 0; !signal.aborted; count++) {
      await step(count);
      await sleep(Math.max(0, began + ((count + 1) * 1000) / rate - performance.now()));
    }
  };
  const changeLarge = async (count: number): Promise<void> => {
    const entry = variants[count % 2];
    if (entry) await put(entry);
    churned.large += 1;
  };

  const changeSmall = async (count: number): Promise<void> => {
    const first = count * AT_ONCE;
    const some = Array.from({ length: AT_ONCE }, (_, i) => first + i);
    await putAll(
      some.map((each) => {
        const round = Math.floor(each / services);
        return serviceEntry(cluster, each % services, { backends, ...(round % 2 === 0 && { without: 0 }) });
      }),
    );
    churned.small += some.length;
  };
  await Promise.all([keepUp(large.perSecond, changeLarge), keepUp(perSecond / AT_ONCE, changeSmall)]);
  return { ...churned, seconds: (performance.now() - began) / 1000 };
}

async function answer(question: Question): Promise<object> {
  switch (question.do) {
    case 'fill':
      return fill(question.services, question.backends);
    case 'large':
      await put(largeEntry(cluster, question));
      return {};
    case 'churn': {
      const stop = new AbortController();
      churning = { stop, done: churn(question, stop.signal) };
      return {};
    }
    case 'rest':
      churning?.stop.abort();
      return (await churning?.done) ?? {};
    case 'entry': {
      const { kvs } = await client.get(question.key).exec();
      return { version: Number(kvs[0]?.version ?? 0), bytes: kvs[0]?.value.length ?? 0 };
    }
  }
}

await serve(answer);
clearInterval(heartbeat);
client.close();
