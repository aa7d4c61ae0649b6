import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ApiError } from '../api-error.ts';
import type { JsonObject, KubeObject, ManagedFields } from '../objects.ts';
import { serviceMerge } from '../patch/merge-keys.ts';
import { fieldsOf, fromFieldsV1, toFieldsV1 } from './field-set.ts';
import { afterUpdate, applied } from './managed-fields.ts';

const service = (ports: JsonObject, labels: { [key: string]: string } = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 's', uid: '', resourceVersion: '', creationTimestamp: '', labels },
  spec: { ports: Object.entries(ports).map(([port, name]) => ({ port: Number(port), name })) },
});

const by = (manager: string, force = false) => ({ manager, force, time: '2026-01-01T00:00:00Z' });

/** Applies one after another, from nothing. */
function applyAll(...steps: readonly (readonly [string, KubeObject, force?: boolean])[]): KubeObject {
  return steps.reduce<KubeObject | undefined>((live, [manager, config, force]) => {
    const { object, managedFields } = applied(live, config, by(manager, force), serviceMerge);
    return { ...object, metadata: { ...object.metadata, managedFields } };
  }, undefined) as KubeObject;
}

const portsOf = (object: KubeObject) =>
  (object['spec'] as { ports: JsonObject[] }).ports?.map(({ port, name }) => `${port} ${name}`);
const managersOf = (books: readonly ManagedFields[] = []) => books.map(({ manager }) => manager);

describe('applied()', () => {
  it('merges lists by key, and gives each item its owners', () => {
    const both = applyAll(['a', service({ 1: 'x' })], ['b', service({ 2: 'y' })]);
    assert.deepEqual(portsOf(both), ['1 x', '2 y']);
    assert.deepEqual(managersOf(both.metadata.managedFields), ['a', 'b']);
  });

  it('takes away what its manager does not apply any more, but not what another owns too', () => {
    const [x, xy] = [service({ 1: 'x' }), service({ 1: 'x', 2: 'y' })];
    assert.deepEqual(portsOf(applyAll(['a', xy], ['a', x])), ['1 x']);
    assert.deepEqual(portsOf(applyAll(['a', xy], ['b', xy], ['a', x])), ['1 x', '2 y']);
    assert.deepEqual(portsOf(applyAll(['a', xy], ['b', xy], ['a', x], ['b', x])), ['1 x']);
  });

  it('refuses another value than somebody else’s, unless it is forced', () => {
    const steps = [['a', service({ 1: 'x' })] as const, ['b', service({ 1: 'z' })] as const] as const;
    assert.throws(
      () => applyAll(...steps),
      (error) =>
        error instanceof ApiError &&
        error.code === 409 &&
        error.message === 'Apply failed with 1 conflict: conflict with "a": .spec.ports[port=1,protocol="TCP"].name',
    );
    const forced = applyAll(steps[0], [...steps[1], true]);
    assert.deepEqual(portsOf(forced), ['1 z']);
    assert.throws(() => applyAll(steps[0], [...steps[1], true], steps[0]), /conflict with "b"/);
  });
});

describe('afterUpdate()', () => {
  it('gives what changed to whoever changed it, and takes it from others', () => {
    const before = applyAll(['a', service({ 1: 'x' }, { l: '1' })]);
    const after = service({ 1: 'z' }, { l: '1' });
    const books = afterUpdate(before, after, before.metadata.managedFields ?? [], by('u'), serviceMerge);
    assert.deepEqual(
      books.map(({ manager, operation, fieldsV1 }) => [manager, operation, fromFieldsV1(fieldsV1).length]),
      [
        ['a', 'Apply', 3],
        ['u', 'Update', 1],
      ],
    );
    const same = afterUpdate(after, after, books, { ...by('u'), time: 'later' }, serviceMerge);
    assert.deepEqual(same, books, 'who changes nothing leaves no trace');
  });
});

it('toFieldsV1() and back gives the same fields', () => {
  const name = fc.constantFrom('a', 'b', 'example.com/x', '.');
  const objects = fc.record({ metadata: fc.record({ labels: fc.dictionary(name, name), finalizers: fc.array(name) }) });
  const ports = fc.array(fc.record({ port: fc.nat(9), name }));
  fc.assert(
    fc.property(objects, ports, (object, list) => {
      const fields = [...fieldsOf({ ...object, spec: { ports: list } }, serviceMerge).keys()].sort();
      assert.deepEqual(fromFieldsV1(JSON.parse(JSON.stringify(toFieldsV1(fields)))).sort(), fields);
    }),
  );
});
