import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { KubeObject } from './objects.ts';
import { type Change, keyOf, Store } from './store.ts';

const TABLE = '/configmaps';

const object = (namespace: string, name: string, value: number): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace, uid: `${namespace}-${name}`, resourceVersion: '', creationTimestamp: '' },
  value,
});

const newStore = (historySize = 1000) => new Store({ historySize, firstRevision: 0 });

type Step = readonly [action: 'put' | 'remove', namespace: string, name: string, value: number];

const steps = fc.array(
  fc.tuple(
    fc.constantFrom('put', 'put', 'remove'),
    fc.constantFrom('x', 'y'),
    fc.constantFrom('a', 'b', 'c'),
    fc.nat(9),
  ),
  { maxLength: 60 },
) as fc.Arbitrary<Step[]>;

function apply(store: Store, [action, namespace, name, value]: Step): void {
  if (action === 'put') store.put(TABLE, object(namespace, name, value));
  else store.remove(TABLE, namespace, name);
}

function replay(list: readonly KubeObject[], changes: readonly Change[]): KubeObject[] {
  const objects = new Map(list.map((o) => [keyOf(o), o]));
  for (const { type, object } of changes) {
    if (type === 'DELETED') assert.ok(objects.delete(keyOf(object)), 'only what is there is deleted');
    else {
      assert.equal(objects.has(keyOf(object)), type === 'MODIFIED', `${type} fits what was there`);
      objects.set(keyOf(object), object);
    }
  }
  return [...objects.values()].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

describe('Store', () => {
  it('changesSince() replayed over a list at any earlier moment gives the live list', () => {
    fc.assert(
      fc.property(steps, fc.nat(60), (script, cut) => {
        const store = newStore();
        for (const step of script.slice(0, cut)) apply(store, step);
        const { revision } = store;
        const before = store.list(TABLE);
        for (const step of script.slice(cut)) apply(store, step);
        assert.deepEqual(replay(before, store.changesSince(revision) ?? []), store.list(TABLE));
      }),
    );
  });

  it('a listener hears the same as the history tells', () => {
    fc.assert(
      fc.property(steps, (script) => {
        const store = newStore();
        const heard: Change[] = [];
        store.subscribe(TABLE, (change) => heard.push(change));
        for (const step of script) apply(store, step);
        assert.deepEqual(heard, store.changesSince(0));
        assert.deepEqual(
          heard.map(({ revision }) => revision),
          heard.map((_, at) => at + 1),
        );
      }),
    );
  });

  it('listAt() gives the list of every moment that is still known', () => {
    fc.assert(
      fc.property(steps, fc.option(fc.constantFrom('x', 'y'), { nil: undefined }), (script, namespace) => {
        const store = newStore(20);
        const lists = new Map([[0, store.list(TABLE, namespace)]]);
        for (const step of script) {
          apply(store, step);
          lists.set(store.revision, store.list(TABLE, namespace));
        }
        for (const [revision, list] of lists) {
          const expected = revision < store.compactedRevision ? undefined : list;
          assert.deepEqual(store.listAt(revision, TABLE, namespace), expected);
        }
      }),
    );
  });

  it('forgets what is beyond the history, and all of it when compacted', () => {
    const store = newStore(10);
    for (let value = 0; value < 100; value++) store.put(TABLE, object('x', 'a', value));
    assert.equal(store.changesSince(10), undefined);
    assert.equal(store.changesSince(90)?.length, 10);
    store.compact();
    assert.equal(store.changesSince(99), undefined);
    assert.deepEqual(store.changesSince(100), []);
    assert.equal(store.revision, 100);
  });

  it('delivers what a listener commits after the change that it heard, to everybody in the same order', () => {
    const store = newStore();
    const heard: number[][] = [[], []];
    store.subscribe(TABLE, ({ revision, object }) => {
      heard[0]?.push(revision);
      if (object.metadata.name === 'a') store.put(TABLE, object.metadata.namespace === 'x' ? made('b') : made('c'));
    });
    store.subscribe(TABLE, ({ revision }) => heard[1]?.push(revision));
    const made = (name: string) => object('x', name, 1);
    store.put(TABLE, object('x', 'a', 1));
    assert.deepEqual(heard, [
      [1, 2],
      [1, 2],
    ]);
  });

  it('goes on past a listener that throws', () => {
    const errors: unknown[] = [];
    const store = new Store({ historySize: 10, firstRevision: 0, onListenerError: (error) => errors.push(error) });
    const heard: number[] = [];
    store.subscribe(TABLE, () => {
      throw new Error('broken');
    });
    store.subscribe(TABLE, ({ revision }) => heard.push(revision));
    store.put(TABLE, object('x', 'a', 1));
    assert.equal(errors.length, 1);
    assert.deepEqual(heard, [1]);
  });

  it('stored objects cannot be changed', () => {
    const stored = newStore().put(TABLE, object('x', 'a', 1));
    assert.throws(() => Object.assign(stored.metadata, { name: 'b' }), TypeError);
  });
});
