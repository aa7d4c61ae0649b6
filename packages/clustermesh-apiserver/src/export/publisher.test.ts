import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import type { Keyspace } from '@tombolo/shared/etcd/keyspace/keyspace.ts';
import type { EtcdWriter } from '@tombolo/shared/etcd/write/writer.ts';
import { silentLogger } from '@tombolo/shared/process/logger.ts';
import type { EntryChanges, EntrySource } from './entries.ts';
import { Publisher } from './publisher.ts';

const PREFIX = 'cilium/state/services/v1/east/';
const CANARY = 'cilium/synced/east/cilium/state/services/v1';

/** Facts that the test sets; says what is new. */
class Source implements EntrySource {
  readonly keep = new Set(['shop/refused']);
  readonly #all = new Map<string, string>();
  #changes = new Map<string, string | undefined>();

  say(suffix: string, value: string | undefined): void {
    this.#changes.set(suffix, value);
    if (value === undefined) this.#all.delete(suffix);
    else this.#all.set(suffix, value);
  }

  takeChanges(): EntryChanges {
    const changes = this.#changes;
    this.#changes = new Map();
    return changes;
  }

  get size() {
    return this.#all.size;
  }
}

/** An etcd whose writes are done when the test says so. */
class Etcd {
  readonly did: string[] = [];
  failing = 0;
  #lost: (keys: readonly string[]) => void = () => {};
  #written: PromiseWithResolvers<void>[] = [];

  readonly keyspace = {
    set: (key: string) => void this.did.push(`set ${key}`),
    remove: (key: string) => void this.did.push(`remove ${key}`),
    prune: async (prefix: string, keep: ReadonlySet<string>) => {
      this.did.push(`prune ${prefix} but ${[...keep]}`);
      return 0;
    },
    whenWritten: () => {
      const written = Promise.withResolvers<void>();
      this.#written.push(written);
      return written.promise;
    },
  } as unknown as Keyspace;

  readonly writer = {
    put: async (key: string) => {
      if (this.failing-- > 0) throw new Error('no answer');
      this.did.push(`put ${key}`);
      return '1';
    },
    onKeysLost: (listener: (keys: readonly string[]) => void) => {
      this.#lost = listener;
    },
  } as unknown as EtcdWriter;

  async allWritten(): Promise<void> {
    while (this.#written.length === 0) await turn();
    for (const written of this.#written.splice(0)) written.resolve();
    await turn();
  }

  lose(...keys: readonly string[]): void {
    this.#lost(keys);
  }

  taken(): readonly string[] {
    return this.did.splice(0);
  }
}

describe('Publisher', () => {
  let etcd: Etcd;
  let source: Source;
  let stop: AbortController;
  let complete: number;
  let publisher: Publisher;

  beforeEach(() => {
    etcd = new Etcd();
    source = new Source();
    stop = new AbortController();
    complete = 0;
    publisher = new Publisher({
      kind: 'services',
      cluster: 'east',
      source,
      keyspace: etcd.keyspace,
      writer: etcd.writer,
      log: silentLogger,
      signal: stop.signal,
      onComplete: () => complete++,
    });
  });
  afterEach(() => stop.abort());

  async function begun(): Promise<void> {
    const begun = publisher.begin();
    await etcd.allWritten();
    await begun;
    etcd.taken();
  }

  it('writes nothing before its sources were heard, then prunes, and puts the canary after all was written', async () => {
    source.say('shop/a', '1');
    publisher.touch();
    await turn();
    assert.deepEqual(etcd.taken(), []);
    const begun = publisher.begin();
    await turn();
    assert.deepEqual(etcd.taken(), [`set ${PREFIX}shop/a`, `prune ${PREFIX} but ${PREFIX}shop/refused`]);
    source.say('shop/b', '1');
    publisher.touch();
    await turn();
    assert.deepEqual(etcd.taken(), [`set ${PREFIX}shop/b`]);
    assert.equal(complete, 0);
    await etcd.allWritten();
    await begun;
    assert.deepEqual(etcd.taken(), [`put ${CANARY}`]);
    assert.equal(complete, 1);
  });

  it('hands changes of one tick on together, before the next', async () => {
    await begun();
    source.say('shop/a', '1');
    publisher.touch();
    source.say('shop/a', undefined);
    source.say('shop/b', '1');
    publisher.touch();
    await Promise.resolve();
    assert.deepEqual(etcd.taken(), [`remove ${PREFIX}shop/a`, `set ${PREFIX}shop/b`]);
  });

  it('tries the canary until etcd takes it', async () => {
    etcd.failing = 1;
    const beginning = publisher.begin();
    await etcd.allWritten();
    await beginning;
    assert.deepEqual(etcd.taken().at(-1), `put ${CANARY}`);
  });

  it('puts the canary again when keys were lost, but only when etcd was compared and all is written', async () => {
    await begun();
    etcd.lose(`${PREFIX}shop/a`, CANARY);
    await turn();
    assert.deepEqual(etcd.taken(), [`prune ${PREFIX} but ${PREFIX}shop/refused`]);
    await etcd.allWritten();
    assert.deepEqual(etcd.taken(), [`put ${CANARY}`]);
  });

  it('compares again when keys are lost meanwhile', async () => {
    await begun();
    etcd.lose(CANARY);
    await turn();
    etcd.lose(CANARY);
    await etcd.allWritten();
    const compared = `prune ${PREFIX} but ${PREFIX}shop/refused`;
    assert.deepEqual(etcd.taken(), [compared, `put ${CANARY}`, compared]);
    await etcd.allWritten();
    assert.deepEqual(etcd.taken(), [`put ${CANARY}`]);
  });

  it('does nothing when keys of others were lost', async () => {
    await begun();
    etcd.lose('cilium/state/nodes/v1/east/n1');
    await turn();
    assert.deepEqual(etcd.taken(), []);
  });
});
