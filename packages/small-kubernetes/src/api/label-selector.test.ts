import assert from 'node:assert/strict';
import { matchesMap, parseLabelSelector } from './label-selector.ts';
import type { StringMap } from './objects.ts';

const web: StringMap = { app: 'web', tier: 'front' };

const cases: readonly (readonly [selector: string, labels: StringMap, matches: boolean])[] = [
  ['app=web', web, true],
  ['app==web', web, true],
  ['app = web', web, true],
  ['app=api', web, false],
  ['app!=api', web, true],
  ['app!=web', web, false],
  ['missing!=x', web, true],
  ['app', web, true],
  ['!app', web, false],
  ['! missing', web, true],
  ['app in (api, web)', web, true],
  ['app in (api)', web, false],
  ['app notin (api,db)', web, true],
  ['missing notin (api)', web, true],
  ['missing in (api)', web, false],
  ['app in (web,api),tier=front,!gone', web, true],
  ['app in (web,api),tier!=front', web, false],
  ['empty=', { empty: '' }, true],
  ['empty=', {}, false],
  ['kubernetes.io/service-name=a', { 'kubernetes.io/service-name': 'a' }, true],
  ['', web, true],
];

describe('label selectors', () => {
  for (const [selector, labels, expected] of cases) {
    it(`parseLabelSelector(${JSON.stringify(selector)}) ${expected ? 'matches' : 'does not match'} ${JSON.stringify(labels)}`, () => {
      assert.equal(parseLabelSelector(selector)(labels), expected);
    });
  }

  for (const text of ['a=b=c', 'x,a=b=c']) {
    it(`parseLabelSelector() refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseLabelSelector(text), /expected/);
    });
  }

  it('matchesMap() wants all of the map', () => {
    assert.equal(matchesMap({ app: 'web' }, web), true);
    assert.equal(matchesMap({ app: 'web', x: 'y' }, web), false);
    assert.equal(matchesMap(undefined, web), true);
    assert.equal(matchesMap({ app: 'web' }, undefined), false);
  });
});
