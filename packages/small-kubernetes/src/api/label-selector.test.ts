import assert from 'node:assert/strict';
import {
  formatLabelSelector,
  matchesAll,
  parseLabelSelector,
  selectorOfMap,
  selectorOfSpec,
} from './label-selector.ts';
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
      assert.equal(matchesAll(parseLabelSelector(selector))(labels), expected);
    });
  }

  for (const text of ['a=b=c', 'a in b', '=x', 'a in (b', 'a!b', '-a', 'a=b/c']) {
    it(`parseLabelSelector() refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseLabelSelector(text), /expected/);
    });
  }

  it('selectorOfSpec() joins matchLabels and matchExpressions; empty matches all, missing none', () => {
    const selects = selectorOfSpec({
      matchLabels: { app: 'web' },
      matchExpressions: [{ key: 'tier', operator: 'In', values: ['front', 'back'] }],
    });
    assert.equal(selects(web), true);
    assert.equal(selects({ app: 'web' }), false);
    assert.equal(selectorOfSpec({})(web), true);
    assert.equal(selectorOfSpec(undefined)(web), false);
  });

  it('selectorOfMap() of a Service without selector selects nothing', () => {
    assert.equal(selectorOfMap({})(web), false);
    assert.equal(selectorOfMap({ app: 'web' })(web), true);
  });

  it('formatLabelSelector() is read back to the same selector', () => {
    const text = formatLabelSelector({
      matchLabels: { app: 'web' },
      matchExpressions: [
        { key: 'tier', operator: 'NotIn', values: ['a', 'b'] },
        { key: 'x', operator: 'DoesNotExist' },
      ],
    });
    assert.equal(text, 'app=web,tier notin (a,b),!x');
    assert.equal(matchesAll(parseLabelSelector(text))(web), true);
  });
});
