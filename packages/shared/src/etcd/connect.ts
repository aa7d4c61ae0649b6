/** The door of the etcd room: opens readers and writers. Nothing is dialled before the first call. */
import { systemClock } from '../process/clock.ts';
import type { Health } from '../process/health.ts';
import { type Logger, silentLogger } from '../process/logger.ts';
import type { EtcdConfig } from './config.ts';
import type { EtcdReader } from './read/reader.ts';
import { SessionReader } from './read/session-reader.ts';
import type { Dial } from './session/connection.ts';
import { Session } from './session/session.ts';
import { type ReadAccess, restrictAccess } from './write/access.ts';
import { LeasedWriter } from './write/leased-writer.ts';
import type { EtcdWriter } from './write/writer.ts';

export interface ReaderOptions {
  readonly logger?: Logger;
  /** Told when the connection comes to work or stops working, with a sentence that says what, where and why. */
  readonly report?: (health: Health) => void;
  /** What a page of a listing should come to; default 1 MiB. */
  readonly pageBytes?: number;
  /** 0..1, for jitter and the order of endpoints. */
  readonly random?: () => number;
}

export interface WriterOptions extends ReaderOptions {
  /** Default 900. */
  readonly leaseTtlSeconds?: number;
  /** Deadline of one request; default 10,000. */
  readonly timeoutMs?: number;
  /** Of several writers to one etcd only the one that holds the fence writes. Without it every one does. */
  readonly fence?: { readonly key: string; readonly holder: string };
  /** Told when etcd takes no writes for want of space, and when it does again. */
  readonly reportSpace?: (health: Health) => void;
}

/** etcd slows down with many keys on one lease. */
const KEYS_PER_LEASE = 1_000;
/** How soon a writer asks a silent etcd again, in ms. */
const WRITER_ASKS_AGAIN = { first: 50, limit: 1_000 };

/** Throws an `EtcdError` of kind `config` at once for settings that cannot work. */
export function connectReader(config: EtcdConfig, options: ReaderOptions = {}): EtcdReader {
  const settings = withDefaults(options);
  return new SessionReader(new Session(config, { ...settings, pinned: true }), settings);
}

/** As `connectReader`. An etcd that was replaced by another is no fault here: what it lacks is reported as lost. */
export function connectWriter(config: EtcdConfig, options: WriterOptions = {}): EtcdWriter {
  const settings = withDefaults(options);
  return new LeasedWriter(new Session(config, { ...settings, askAgain: WRITER_ASKS_AGAIN, pinned: false }), {
    ...{ leaseTtlSeconds: 900, timeoutMs: 10_000, fence: undefined, reportSpace: () => {} },
    ...settings,
    keysPerLease: KEYS_PER_LEASE,
  });
}

/** See `restrictAccess`; on a connection of its own, since the certificate must be that of root. */
export async function restrictEtcd(config: EtcdConfig, access: ReadAccess): Promise<void> {
  const session = new Session(config, { ...withDefaults({}), pinned: false });
  try {
    await restrictAccess(session, access);
  } finally {
    session.close();
  }
}

const withDefaults = <T extends ReaderOptions>(options: T) => ({
  ...{ logger: silentLogger, report: () => {}, pageBytes: 1024 * 1024 },
  ...{ random: Math.random, clock: systemClock, dial: dialWithEtcd3 },
  ...options,
});

/** Otherwise the library is loaded with the first dial. It takes the event loop for a tenth of a second. */
export const loadEtcd3 = () => import('./session/etcd3-connection.ts');

const dialWithEtcd3: Dial = async (endpoint, tls) => {
  const { Etcd3Connection } = await loadEtcd3();
  return new Etcd3Connection(endpoint, tls);
};
