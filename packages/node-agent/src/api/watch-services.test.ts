import assert from 'node:assert/strict';
import type { ServiceFilter, ServiceName, WatchServicesResponse } from '@tombolo/proto/generated/tombolo-v1.ts';
import { type ServiceKey, serviceKey } from '@tombolo/shared/model/service.ts';
import fc from 'fast-check';
import { FakeSource, sampleBackend, sampleEntry, sampleGroup, selected } from './fake-source.fixture.ts';
import { rounds } from './rounds.ts';
import { filteredServices } from './service-filter.ts';
import { parseResumeToken, watchServices } from './watch-services.ts';

const NAMES = ['a', 'b', 'c'];
const step = fc.oneof(
  fc.record({ kind: fc.constant('set'), name: fc.constantFrom(...NAMES), global: fc.boolean() }),
  fc.record({ kind: fc.constant('remove'), name: fc.constantFrom(...NAMES) }),
  fc.constant({ kind: 'compact' as const }),
  fc.constant({ kind: 'read' as const }),
  fc.constant({ kind: 'settle' as const }),
  fc.constant({ kind: 'reconnect' as const }),
);
const filters = fc.record<ServiceFilter>({
  namespace: fc.constantFrom('', 'default', 'other'),
  name: fc.constantFrom('', 'a'),
  globalOnly: fc.boolean(),
});

type Events = ReturnType<typeof watchServices>;
type Next = ReturnType<Events['next']>;

/** A reader that keeps what it is told, as docs/api.md says to. */
class Reader {
  readonly services = new Map<ServiceKey, boolean>();
  readonly #source: FakeSource;
  readonly #filter: ServiceFilter;
  #token = '';
  #reading = new AbortController();
  #events: Events;
  #pending: Next | undefined;

  constructor(source: FakeSource, filter: ServiceFilter) {
    this.#source = source;
    this.#filter = filter;
    this.#events = watchServices(source, filter, '', this.#reading.signal);
  }

  reconnect(): void {
    this.#reading.abort();
    this.#pending = undefined;
    this.#reading = new AbortController();
    this.#events = watchServices(this.#source, this.#filter, this.#token, this.#reading.signal);
  }

  /** Takes one event, if there is one at once. */
  async read(): Promise<boolean> {
    this.#pending ??= this.#events.next();
    const nothing = new Promise<undefined>((resolve) => setImmediate(() => resolve(undefined)));
    const result = await Promise.race([this.#pending, nothing]);
    if (!result) return false;
    this.#pending = undefined;
    if (!result.done) this.#apply(result.value);
    return !result.done;
  }

  /** Takes all there is at once. */
  async settle(): Promise<void> {
    for (let left = 10_000; await this.read(); left--) assert.ok(left > 0, 'events without end');
  }

  close(): void {
    this.#reading.abort();
  }

  #apply(event: WatchServicesResponse): void {
    if (event.event === 'snapshotBegin') this.services.clear();
    if (event.event === 'service') this.services.set(keyOf(event.service), event.service.global);
    if (event.event === 'removed') this.services.delete(keyOf(event.removed));
    if (event.event === 'snapshotEnd') this.#token = event.snapshotEnd.resumeToken;
    if (event.event === 'bookmark') this.#token = event.bookmark.resumeToken;
  }
}

const keyOf = ({ namespace, name }: ServiceName): ServiceKey => serviceKey(namespace, name);

describe('watchServices()', () => {
  it('brings any reader, however slow or often cut off, to what a list gives', async () => {
    await fc.assert(
      fc.asyncProperty(filters, fc.array(step, { maxLength: 30 }), async (filter, steps) => {
        const source = new FakeSource();
        const reader = new Reader(source, filter);
        for (const action of steps) {
          if (action.kind === 'compact') source.compact();
          else if (action.kind === 'read') await reader.read();
          else if (action.kind === 'settle') await reader.settle();
          else if (action.kind === 'reconnect') reader.reconnect();
          else if ('global' in action) source.set(sampleEntry(action.name, [], { global: action.global === true }));
          else if ('name' in action) source.remove(serviceKey('default', action.name));
        }
        await reader.settle();
        const wanted = filteredServices(filter, source.snapshot()).map(({ key, service }) => [key, service?.global]);
        assert.deepEqual([...reader.services].sort(), wanted);
        reader.close();
        assert.equal(source.tableListeners.size, 0);
      }),
    );
  });

  it('gives the parts of a large Service one after the other', async () => {
    const source = new FakeSource();
    const backends = Array.from({ length: 5_000 }, (_, i) => selected(sampleBackend(`10.0.${i >> 8}.${i & 255}`)));
    source.set(sampleEntry('big', [sampleGroup(backends)]), sampleEntry('small', []));
    const reading = new AbortController();
    const names: string[] = [];
    const all = { namespace: '', name: '', globalOnly: false };
    for await (const event of watchServices(source, all, '', reading.signal)) {
      if (event.event === 'service')
        names.push(`${event.service.name} ${event.service.moreBackends ? 'more' : 'whole'}`);
      if (event.event === 'snapshotEnd') reading.abort();
    }
    assert.ok(names.length >= 3);
    assert.deepEqual(names, [...names.slice(2).map(() => 'big more'), 'big whole', 'small whole']);
  });
});

describe('parseResumeToken()', () => {
  const cases = [
    { name: 'goes on from a revision', token: 'e.7', want: 7 },
    { name: 'refuses the future', token: 'e.11', want: undefined },
    { name: 'refuses another life of the table', token: 'f.7', want: undefined },
    { name: 'refuses nothing', token: '', want: undefined },
    { name: 'refuses rubbish', token: 'e.-1', want: undefined },
    { name: 'refuses more than two parts', token: 'e.7.7', want: undefined },
    { name: 'refuses an absent number', token: 'e.', want: undefined },
  ];
  for (const { name, token, want } of cases) it(name, () => assert.equal(parseResumeToken(token, 'e', 10), want));
});

describe('rounds()', () => {
  it('makes one of any number of changes, loses none between two rounds, and leaves no listener behind', async () => {
    const listeners = new Set<() => void>();
    const change = () => {
      for (const listener of listeners) listener();
    };
    const reading = new AbortController();
    const events = rounds((listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    }, reading.signal);
    const hasNext = async (next: ReturnType<typeof events.next>) => !(await next).done;
    assert.equal(await hasNext(events.next()), true);
    change();
    change();
    assert.equal(await hasNext(events.next()), true);
    const waiting = events.next();
    change();
    assert.equal(await hasNext(waiting), true);
    const last = events.next();
    reading.abort();
    assert.equal(await hasNext(last), false);
    assert.equal(await hasNext(events.next()), false);
    assert.equal(listeners.size, 0);
  });
});
