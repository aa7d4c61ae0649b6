import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import type { Keyspace } from '@tombolo/shared/etcd/keyspace/keyspace.ts';
import { FakeClock } from '@tombolo/shared/process/clock.fixture.ts';
import { silentLogger } from '@tombolo/shared/process/logger.ts';
import type { EntryChanges, EntrySource } from './entries.ts';
import { EntryWriter } from './entry-writer.ts';

const PREFIX = 'cilium/state/services/v1/east/';
const CANARY = 'cilium/synced/east/cilium/state/services/v1';
const PRUNE = `prune ${PREFIX} but ${PREFIX}shop/refused`;

/** Facts that the test sets; says what is new. */
class Source implements EntrySource {
  readonly keep = new Set(['shop/refused']);
  heldBackUntil: number | undefined;
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
  canary: string | undefined;
  /** When a listing, and the writing of a canary, is done. */
  listed = Promise.resolve();
  vouched = Promise.resolve();
  #lost: (keys: readonly string[]) => void = () => {};
  #written: PromiseWithResolvers<void>[] = [];

  readonly keyspace = {
    set: (key: string) => void this.did.push(`set ${key}`),
    remove: (key: string) => void this.did.push(`remove ${key}`),
    hold: () => void this.did.push('hold'),
    release: () => void this.did.push('release'),
    adopt: async (prefix: string) => {
      this.did.push(`adopt ${prefix}`);
      await this.listed;
      return new Map();
    },
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
    get: async () => (this.canary === undefined ? undefined : { value: Buffer.from(this.canary), revision: '1' }),
    vouch: async (key: string, value: string) => {
      this.did.push(value === this.canary ? `keep ${key}` : `vouch ${key}`);
      await this.vouched;
    },
    retract: (key: string) => void this.did.push(`retract ${key}`),
    onKeysLost: (listener: (keys: readonly string[]) => void) => {
      this.#lost = listener;
    },
  };

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

describe('EntryWriter', () => {
  let clock: FakeClock;
  let etcd: Etcd;
  let source: Source;
  let tenure: AbortController;
  let trusted: PromiseWithResolvers<void>;
  let complete: number;
  let entries: EntryWriter;
  let leading: Promise<void>;

  beforeEach(() => {
    clock = new FakeClock();
    etcd = new Etcd();
    source = new Source();
    tenure = new AbortController();
    trusted = Promise.withResolvers();
    complete = 0;
    entries = new EntryWriter({
      ...{ kind: 'services', cluster: 'east', source, keyspace: etcd.keyspace, writer: etcd.writer, clock },
      log: silentLogger,
      trusted: () => trusted.promise,
      onComplete: () => complete++,
    });
  });
  afterEach(async () => {
    tenure.abort();
    trusted.resolve();
    await leading;
  });

  async function lead(): Promise<void> {
    leading = entries.lead(tenure.signal);
    await turn();
  }

  async function whole(): Promise<void> {
    await lead();
    trusted.resolve();
    await etcd.allWritten();
    etcd.taken();
  }

  it('writes nothing before its sources are trusted, then prunes, and puts the canary after all was written', async () => {
    source.say('shop/a', '1');
    await lead();
    entries.touch();
    await turn();
    assert.deepEqual(etcd.taken(), ['hold', `adopt ${PREFIX}`]);
    trusted.resolve();
    await turn();
    assert.deepEqual(etcd.taken(), [`set ${PREFIX}shop/a`, 'release', PRUNE]);
    source.say('shop/b', '1');
    entries.touch();
    await turn();
    assert.deepEqual(etcd.taken(), [`set ${PREFIX}shop/b`]);
    assert.equal(complete, 0);
    await etcd.allWritten();
    assert.deepEqual(etcd.taken(), [`vouch ${CANARY}`]);
    assert.equal(complete, 1);
  });

  it('keeps the canary that it finds, while it must not write anything else', async () => {
    etcd.canary = 'before';
    await lead();
    assert.deepEqual(etcd.taken(), ['hold', `adopt ${PREFIX}`, `keep ${CANARY}`]);
  });

  it('lets the canary that it finds end when keys were lost since they were listed', async () => {
    etcd.canary = 'before';
    const listed = Promise.withResolvers<void>();
    etcd.listed = listed.promise;
    await lead();
    etcd.lose(`${PREFIX}shop/a`);
    listed.resolve();
    await turn();
    assert.deepEqual(etcd.taken(), ['hold', `adopt ${PREFIX}`, `retract ${CANARY}`]);
  });

  it('is not complete when keys were lost while the canary was written', async () => {
    await lead();
    const vouched = Promise.withResolvers<void>();
    etcd.vouched = vouched.promise;
    trusted.resolve();
    await etcd.allWritten();
    etcd.lose(`${PREFIX}shop/a`);
    vouched.resolve();
    await turn();
    assert.equal(complete, 0);
    await etcd.allWritten();
    assert.equal(complete, 1);
  });

  it('stops, and holds back what comes, when its time has ended; the next time begins like the first', async () => {
    await whole();
    tenure.abort();
    await leading;
    assert.deepEqual(etcd.taken(), ['hold', `retract ${CANARY}`]);
    source.say('shop/a', '1');
    entries.touch();
    await turn();
    assert.deepEqual(etcd.taken(), []);
    tenure = new AbortController();
    trusted = Promise.withResolvers();
    await lead();
    assert.deepEqual(etcd.taken(), ['hold', `adopt ${PREFIX}`]);
    trusted.resolve();
    await turn();
    assert.deepEqual(etcd.taken(), [`set ${PREFIX}shop/a`, 'release', PRUNE]);
  });

  it('hands changes of one tick on together, before the next', async () => {
    await whole();
    source.say('shop/a', '1');
    entries.touch();
    source.say('shop/a', undefined);
    source.say('shop/b', '1');
    entries.touch();
    await Promise.resolve();
    assert.deepEqual(etcd.taken(), [`remove ${PREFIX}shop/a`, `set ${PREFIX}shop/b`]);
  });

  it('takes later, unasked, what its source holds back', async () => {
    await whole();
    source.heldBackUntil = clock.now() + 700;
    entries.touch();
    await turn();
    source.heldBackUntil = undefined;
    source.say('shop/a', '1');
    await clock.advance(699);
    assert.deepEqual(etcd.taken(), []);
    await clock.advance(1);
    assert.deepEqual(etcd.taken(), [`set ${PREFIX}shop/a`]);
  });

  it('retracts the canary when keys were lost, and puts it again when etcd was compared and all is written', async () => {
    await whole();
    etcd.lose(`${PREFIX}shop/a`, CANARY);
    await turn();
    assert.deepEqual(etcd.taken(), [`retract ${CANARY}`, PRUNE]);
    await etcd.allWritten();
    assert.deepEqual(etcd.taken(), [`vouch ${CANARY}`]);
  });

  it('compares again when keys are lost meanwhile', async () => {
    await whole();
    etcd.lose(CANARY);
    await turn();
    etcd.lose(CANARY);
    await etcd.allWritten();
    assert.deepEqual(etcd.taken(), [`retract ${CANARY}`, PRUNE, `retract ${CANARY}`, PRUNE]);
    await etcd.allWritten();
    assert.deepEqual(etcd.taken(), [`vouch ${CANARY}`]);
  });

  it('does nothing when keys of others were lost', async () => {
    await whole();
    etcd.lose('cilium/state/nodes/v1/east/n1');
    await turn();
    assert.deepEqual(etcd.taken(), []);
  });
});
