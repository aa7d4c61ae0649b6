import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ip } from '@tombolo/shared/model/ip.ts';
import { type ServiceKey, serviceKey } from '@tombolo/shared/model/service.ts';
import type { ServiceFacts } from '@tombolo/shared/model/service-table.ts';
import { FakeClock } from '@tombolo/shared/process/clock.fixture.ts';
import type { Health } from '@tombolo/shared/process/health.ts';
import { silentLogger } from '@tombolo/shared/process/logger.ts';
import type { OpenConnection } from '../datapath/sockets/connections.ts';
import { type Place, placeId } from '../datapath/sockets/inet-diag.ts';
import { ChangeLog } from '../table/change-log.ts';
import { Closing } from './closing.ts';
import type { Withdrawn } from './withdrawals.ts';

const WEB = serviceKey('shop', 'web');

const facts = (addresses: readonly string[], key: ServiceKey = WEB): ServiceFacts => ({
  ...{ key, service: undefined, takesPart: true, refusedFrontends: new Map(), endpoints: [] },
  remotes: [
    {
      cluster: { name: 'west', id: 2 } as ServiceFacts['remotes'][number]['cluster'],
      view: { kind: 'synced' },
      service: {
        ...{ key, shared: true, terminating: false, frontendPorts: [] },
        backends: addresses.map((address) => ({
          ...{ address: ip(address), zone: '' },
          ports: [{ name: '', protocol: 'TCP', port: 80 }],
        })),
        origin: { source: 'etcd', revision: '1', at: 0 },
      },
    },
  ],
});

/** A node with a table, sockets, and clusters that can be asked; what happens is written down. */
class Stage {
  readonly clock = new FakeClock();
  readonly log = new ChangeLog<ServiceKey, ServiceFacts>();
  readonly told: string[] = [];
  readonly health: Health[] = [];
  /** By address: how many sockets are connected to it. */
  readonly open = new Map<string, number>();
  /** By address; not there: nobody can be asked. */
  readonly there = new Map<string, boolean>();
  applied = 0;
  cpu = 0;
  /** Of looking. */
  cost = 0;
  isPartial = false;
  failure: Error | undefined;
  asked: (withdrawn: Withdrawn) => void = () => {};
  #listeners: (() => void)[] = [];
  readonly #stop = new AbortController();
  readonly closing: Closing;
  readonly #running: Promise<void>;

  constructor() {
    this.closing = new Closing({
      table: {
        changesSince: (revision) => this.log.changesSince(revision),
        snapshot: () => ({ revision: this.log.revision, services: this.log.snapshot() }),
        onChange: (listener) => {
          this.#listeners.push(listener);
          return () => {
            this.#listeners = [];
          };
        },
      },
      applied: () => this.applied,
      connections: {
        survey: async (places) => this.#survey(places),
        close: async (connections) => this.#close(connections),
        trouble: '',
      },
      isThere: async (withdrawn) => {
        this.told.push(`ask ${withdrawn.owner.name} for ${withdrawn.address}`);
        this.asked(withdrawn);
        return this.there.get(withdrawn.address);
      },
      log: silentLogger,
      report: (health) => this.health.push(health),
      clock: this.clock,
      cpu: () => this.cpu,
    });
    this.#running = this.closing.run(this.#stop.signal);
  }

  publish(addresses: readonly string[] | undefined, key: ServiceKey = WEB): void {
    this.log.publish(this.log.revision + 1, new Map([[key, addresses && facts(addresses, key)]]));
    for (const listener of this.#listeners) listener();
  }

  /** The hooks have what was published. */
  apply(): void {
    this.applied = this.log.revision;
    this.closing.applied();
  }

  async after(ms: number): Promise<readonly string[]> {
    await this.#settle();
    await this.clock.advance(ms);
    await this.#settle();
    return this.told.splice(0);
  }

  async end(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #settle(): Promise<void> {
    for (let i = 0; i < 20; i += 1) await nextTurn();
  }

  #survey(places: readonly Place[]) {
    if (this.failure) throw this.failure;
    this.cpu += this.cost;
    this.told.push(`look for ${places.map(({ address }) => address).join(' ')}`);
    const found = new Map(
      places.flatMap((place) => {
        const count = this.open.get(place.address) ?? 0;
        const one = { ...place, cookie: 1n, id: Buffer.alloc(48), family: 2, namespace: undefined };
        return count === 0 ? [] : [[placeId(place), Array.from({ length: count }, () => one)] as const];
      }),
    );
    return { found, isPartial: this.isPartial };
  }

  #close(connections: readonly OpenConnection[]): number {
    for (const { address } of connections) {
      this.told.push(`close ${address}`);
      this.open.delete(address);
    }
    return connections.length;
  }
}

describe('Closing', () => {
  let stage: Stage;
  beforeEach(async () => {
    stage = new Stage();
    stage.publish(['10.2.0.1', '10.2.0.2']);
    stage.apply();
    assert.deepEqual(await stage.after(100_000), []);
  });
  afterEach(() => stage.end());

  it('closes what leads to a backend that is gone, and then looks at nothing more', async () => {
    stage.open.set('10.2.0.1', 2);
    stage.there.set('10.2.0.1', false);
    stage.publish(['10.2.0.2']);
    stage.apply();
    assert.deepEqual(await stage.after(60), [
      'look for 10.2.0.1',
      'ask west for 10.2.0.1',
      'close 10.2.0.1',
      'close 10.2.0.1',
    ]);
    assert.deepEqual([await stage.after(1_000_000), stage.closing.closed], [[], 2]);
  });

  it('looks only once the hooks lead nobody there any more', async () => {
    stage.publish(['10.2.0.2']);
    assert.deepEqual(await stage.after(10_000), []);
    stage.apply();
    assert.deepEqual(await stage.after(10_000), ['look for 10.2.0.1']);
  });

  it('waits for one that drains, less and less often, and closes once it is gone', async () => {
    stage.open.set('10.2.0.1', 1);
    stage.there.set('10.2.0.1', true);
    stage.publish(['10.2.0.2']);
    stage.apply();
    const told = await stage.after(120_000);
    assert.deepEqual(new Set(told), new Set(['look for 10.2.0.1', 'ask west for 10.2.0.1']));
    // After 0.05, 0.3, 0.8, 1.8 … 31.8 s, and then every 30 s.
    assert.equal(told.length, 2 * (8 + 2));
    stage.there.set('10.2.0.1', false);
    assert.equal((await stage.after(30_000)).at(-1), 'close 10.2.0.1');
  });

  it('takes silence for no answer', async () => {
    stage.open.set('10.2.0.1', 1);
    stage.publish(undefined);
    stage.apply();
    assert.ok(!(await stage.after(1_000_000)).some((line) => line.startsWith('close')));
    stage.there.set('10.2.0.1', false);
    assert.ok((await stage.after(30_000)).includes('close 10.2.0.1'));
  });

  it('stops when it is offered again, or nobody is connected any more', async () => {
    stage.open.set('10.2.0.1', 1).set('10.2.0.2', 1);
    stage.there.set('10.2.0.1', true).set('10.2.0.2', true);
    stage.publish([]);
    stage.apply();
    assert.ok((await stage.after(1_000)).length > 0);
    stage.publish(['10.2.0.1']);
    stage.open.delete('10.2.0.2');
    assert.deepEqual(new Set(await stage.after(30_000)), new Set(['look for 10.2.0.2']));
    assert.deepEqual(await stage.after(1_000_000), []);
  });

  it('leaves alone who comes back while it asks: those are connected to the new one', async () => {
    stage.open.set('10.2.0.1', 1);
    stage.there.set('10.2.0.1', false);
    stage.asked = () => stage.publish(['10.2.0.1']);
    stage.publish(['10.2.0.2']);
    stage.apply();
    assert.deepEqual(await stage.after(10_000), ['look for 10.2.0.1', 'ask west for 10.2.0.1']);
  });

  it('goes on where there are more than it looks at, and after a failure, which status shows', async () => {
    stage.isPartial = true;
    stage.publish(['10.2.0.2']);
    stage.apply();
    assert.deepEqual(await stage.after(100), ['look for 10.2.0.1']);
    stage.isPartial = false;
    stage.failure = new Error('as it happens');
    await stage.after(1_000);
    assert.match(JSON.stringify(stage.health.at(-1)), /degraded.*stay open: as it happens/);
    stage.failure = undefined;
    assert.deepEqual(new Set(await stage.after(30_000)), new Set(['look for 10.2.0.1']));
    assert.deepEqual(stage.health.at(-1), { kind: 'ok' });
  });

  it('takes a twentieth of a CPU at the most', async () => {
    stage.cost = 100;
    stage.publish(['10.2.0.2']);
    stage.apply();
    assert.equal((await stage.after(60)).length, 1);
    stage.publish([]);
    stage.apply();
    assert.deepEqual(await stage.after(1_900), []);
    assert.deepEqual(await stage.after(100), ['look for 10.2.0.2']);
  });

  it('looks for those together that go within a moment', async () => {
    stage.publish(['10.2.0.2']);
    stage.publish([]);
    stage.apply();
    assert.deepEqual(await stage.after(60), ['look for 10.2.0.1 10.2.0.2']);
  });
});
