/**
 * Facts come in any order and are taken back, clusters fall silent, the agent is restarted and killed and loses what it
 * saved. In the end the kernel has what it has under an agent that was told nothing but how things stand (invariant 7).
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { World } from './world.ts';

/** What is said of one thing: only the last word counts. */
interface Fact {
  readonly of: string;
  readonly command: string;
}

const fact = (of: string, ...commands: readonly string[]): fc.Arbitrary<Fact> =>
  fc.constantFrom(...commands).map((command) => ({ of, command }));

const facts = fc.oneof(
  fact(
    'service cart',
    'service shop/cart global ip=10.96.0.1 ports=http:80',
    'service shop/cart ip=10.96.0.1 ports=http:80',
    'service shop/cart global affinity=local ip=10.96.0.1 ports=http:80',
    'service shop/cart global affinity=remote ip=10.96.0.1 external=192.0.2.7 ports=http:80',
    'service shop/cart uid=another global ip=10.96.0.1 ports=web:80',
    'delete service shop/cart',
  ),
  fact(
    'service till',
    'service shop/till global ip=10.96.0.2 external=192.0.2.7 ports=http:80',
    'service shop/till global ip=10.96.0.1 ports=http:80',
    'delete service shop/till',
  ),
  fact(
    'slice a',
    'slice shop/a 10.1.0.1 10.1.0.2 of=shop/cart ports=http:8080',
    'slice shop/a 10.1.0.1 of=shop/till ports=http:8080',
    'slice shop/a 10.1.0.3/unready of=shop/cart ports=http:8080',
    'delete slice shop/a',
  ),
  fact(
    'slice b',
    'slice shop/b 10.1.1.1 of=shop/cart ports=http:8080',
    'slice shop/b 10.1.1.1 of=shop/till ports=http:8080',
  ),
  fact('namespace', 'namespace shop global=true', 'namespace shop global=false'),
  ...['north', 'west'].flatMap((cluster, i) => [
    fact(
      `${cluster} cart`,
      `hear ${cluster} shop/cart 10.${i + 2}.0.1 10.${i + 2}.0.2 ports=http:8080 at=http:80`,
      `hear ${cluster} shop/cart 10.${i + 2}.0.3 10.9.0.1 ports=http:8080 at=http:80`,
      `hear ${cluster} shop/cart 10.${i + 2}.0.1 ports=http:8080 at=http:80 shared=false`,
      `withdraw ${cluster} shop/cart`,
    ),
    fact(
      `${cluster} till`,
      `hear ${cluster} shop/till 10.${i + 2}.1.1 ports=http:8080 at=http:80`,
      `withdraw ${cluster} shop/till`,
    ),
  ]),
);

const CLUSTERS = ['cluster north id=2', 'cluster west id=3'];
const SETTLED = ['back north', 'back west', 'synced north', 'synced west', 'pass 2m'];
const events = fc.constantFrom(
  ...['restart', 'restart remotes-first', 'silent north', 'back north', 'silent west', 'back west', 'synced north'],
  ...['synced west', 'pass 1m', 'stop', 'start', 'lose-state'],
);

async function kernelAfter(commands: readonly string[]): Promise<string> {
  const world = await World.create();
  try {
    for (const command of [...CLUSTERS, ...commands]) await world.run(command);
    return (await world.run('kernel')).join('\n');
  } finally {
    await world.close();
  }
}

describe('Scenario: any history', () => {
  it('leads to the same kernel as no history', async function () {
    this.timeout(60_000); // Much work, on a machine that may do other work, too.
    const step = fc.oneof(
      { weight: 4, arbitrary: facts },
      { weight: 2, arbitrary: events.map((command): Fact => ({ of: '', command })) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30, size: 'max' }), async (history) => {
        const last = new Map(history.filter(({ of }) => of !== '').map(({ of, command }) => [of, command]));
        const commands = history.map(({ command }) => command);
        const isStopped = commands.lastIndexOf('stop') > commands.findLastIndex((each) => /^(re)?start/.test(each));
        const lived = await kernelAfter([...commands, ...(isStopped ? ['start'] : []), ...SETTLED]);
        assert.equal(lived, await kernelAfter([...last.values(), ...SETTLED]));
      }),
      { numRuns: 100 },
    );
  });
});
