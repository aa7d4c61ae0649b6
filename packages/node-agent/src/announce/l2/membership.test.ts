import assert from 'node:assert/strict';
import { DEAD_MS, INTERVAL_MS, type Member, Membership } from './membership.ts';

const LINKS = [{ name: 'eth0', mac: '02:00:5e:00:53:01' }];

/** Agents that tell each other, by a clock of their own. */
class Cluster {
  readonly agents = new Map<string, Membership>();
  readonly cut = new Set<string>();
  readonly sent: { readonly to: string; readonly heartbeat: Parameters<Membership['heard']>[0] }[] = [];
  readonly names: readonly string[];
  now = 0;
  #boots = 0;

  constructor(names: readonly string[]) {
    this.names = names;
    for (const name of names) this.start(name);
  }

  start(name: string): Membership {
    const agent = new Membership(name, `boot-${++this.#boots}`);
    agent.setNodes(this.names);
    this.agents.set(name, agent);
    return agent;
  }

  of(name: string): Membership {
    return this.agents.get(name) ?? assert.fail(name);
  }

  /** One turn of all that run; returns what each then thinks. */
  turn(): ReadonlyMap<string, ReadonlyMap<string, Member>> {
    this.now += INTERVAL_MS;
    const judged = new Map([...this.agents].map(([name, agent]) => [name, agent.judge(this.now)] as const));
    for (const [from, agent] of this.agents) {
      for (const to of this.names) {
        if (to === from) continue;
        const heartbeat = { ...agent.addressed(to, this.now), isReady: true, links: LINKS, ...agent.hearsay(this.now) };
        this.sent.push({ to, heartbeat });
        if (!this.cut.has(`${from} ${to}`)) this.agents.get(to)?.heard(heartbeat, this.now);
      }
    }
    return judged;
  }

  turns(ms: number): void {
    for (let until = this.now + ms; this.now < until; ) this.turn();
  }

  sees(name: string): readonly string[] {
    return [...(this.turn().get(name)?.keys() ?? [])].sort();
  }
}

describe('who is alive', () => {
  it('is who was heard, once both have heard each other', () => {
    const cluster = new Cluster(['a', 'b', 'c']);
    cluster.turns(3 * INTERVAL_MS);
    assert.deepEqual(cluster.sees('a'), ['b', 'c']);
  });

  it('is not who has fallen silent for long enough', () => {
    const cluster = new Cluster(['a', 'b', 'c']);
    cluster.turns(1_000);
    cluster.agents.delete('b');
    cluster.turns(DEAD_MS - 2 * INTERVAL_MS);
    assert.deepEqual(cluster.sees('a'), ['b', 'c']);
    // What others heard of it is a turn older.
    cluster.turns(3 * INTERVAL_MS);
    assert.deepEqual(cluster.sees('a'), ['c']);
  });

  it('is also who only others hear; and is told to be so', () => {
    const cluster = new Cluster(['a', 'b', 'c']);
    cluster.turns(1_000);
    for (const way of ['a b', 'b a']) cluster.cut.add(way);
    cluster.turns(2_000);
    const b = cluster.turn().get('a')?.get('b');
    assert.deepEqual(b, { isReady: true, links: LINKS, isHeard: false });
    cluster.agents.delete('c');
    cluster.turns(1_000);
    assert.deepEqual(cluster.sees('a'), []);
  });

  it('is nobody who does not hear us', () => {
    const cluster = new Cluster(['a', 'b']);
    cluster.cut.add('a b');
    cluster.turns(2_000);
    assert.deepEqual(cluster.sees('a'), []);
  });

  it('is nobody who does not hear us any more', () => {
    const cluster = new Cluster(['a', 'b']);
    cluster.turns(1_000);
    cluster.cut.add('a b');
    // It takes as long until b calls a dead, and says so by repeating nothing.
    cluster.turns(2 * DEAD_MS + INTERVAL_MS);
    assert.deepEqual(cluster.sees('a'), []);
    cluster.cut.clear();
    cluster.turns(3 * INTERVAL_MS);
    assert.deepEqual([cluster.sees('a'), cluster.sees('b')], [['b'], ['a']]);
  });

  it('is who starts anew, at once', () => {
    const cluster = new Cluster(['a', 'b']);
    cluster.turns(1_000);
    cluster.start('b');
    cluster.turns(3 * INTERVAL_MS);
    assert.deepEqual(cluster.sees('a'), ['b']);
    assert.deepEqual(cluster.sees('b'), ['a']);
  });

  it('is nobody else for an agent that stood still for a while, until it has listened', () => {
    const cluster = new Cluster(['a', 'b', 'c']);
    cluster.turns(1_000);
    const a = cluster.of('a');
    cluster.agents.delete('a');
    cluster.turns(10_000);
    cluster.agents.set('a', a);
    assert.deepEqual(cluster.sees('a'), ['b', 'c']);
    assert.ok(a.wasDeaf);
    cluster.turns(2_000);
    assert.deepEqual(cluster.sees('a'), ['b', 'c']);
    assert.ok(!a.wasDeaf);
  });

  it('is not who is no node (any more)', () => {
    const cluster = new Cluster(['a', 'b', 'c']);
    cluster.turns(1_000);
    cluster.of('a').setNodes(['a', 'c']);
    assert.deepEqual(cluster.sees('a'), ['c']);
    const last = cluster.sent.findLast(({ to, heartbeat }) => to === 'a' && heartbeat.from === 'b') ?? assert.fail();
    assert.match(cluster.of('a').heard(last.heartbeat, cluster.now) ?? '', /there is no node b/);
  });
});

describe('a heartbeat', () => {
  const recorded = (cluster: Cluster) =>
    cluster.sent.filter(({ to, heartbeat }) => to === 'a' && heartbeat.from === 'b').map(({ heartbeat }) => heartbeat);

  it('counts once, for whom it is', () => {
    const cluster = new Cluster(['a', 'b', 'c']);
    cluster.turns(1_000);
    const last = recorded(cluster).at(-1) ?? assert.fail();
    assert.match(cluster.of('a').heard(last, cluster.now) ?? '', /heard before/);
    assert.match(cluster.of('c').heard(last, cluster.now) ?? '', /for node a/);
  });

  it('brings nobody back, when it was recorded earlier', () => {
    const cluster = new Cluster(['a', 'b']);
    cluster.turns(1_000);
    const first = recorded(cluster);
    cluster.start('b');
    cluster.turns(1_000);
    const all = recorded(cluster);
    cluster.agents.delete('b');
    cluster.turns(1_000);
    for (const heartbeat of [...first, ...all]) cluster.of('a').heard(heartbeat, cluster.now);
    assert.deepEqual(cluster.sees('a'), []);
    // Nor at an agent that was started since.
    cluster.start('a');
    for (const heartbeat of all) cluster.of('a').heard(heartbeat, cluster.now);
    assert.deepEqual(cluster.sees('a'), []);
  });

  it('takes nobody away, when it was recorded earlier', () => {
    const cluster = new Cluster(['a', 'b']);
    cluster.turns(1_000);
    const first = recorded(cluster);
    cluster.start('b');
    cluster.turns(1_000);
    for (const heartbeat of first) {
      cluster.of('a').heard(heartbeat, cluster.now);
      assert.deepEqual(cluster.sees('a'), ['b']);
    }
  });

  it('of a former start does not keep out who was silent for a while and goes on', () => {
    const cluster = new Cluster(['a', 'b']);
    cluster.turns(1_000);
    const former = recorded(cluster);
    cluster.start('a');
    cluster.start('b');
    cluster.turns(1_000);
    cluster.cut.add('b a');
    cluster.turns(2_000);
    for (const heartbeat of former) cluster.of('a').heard(heartbeat, cluster.now);
    assert.deepEqual(cluster.sees('a'), []);
    cluster.cut.clear();
    cluster.turns(1_000);
    assert.deepEqual(cluster.sees('a'), ['b']);
  });

  it('of a former start does not make those count again that came after it', () => {
    const cluster = new Cluster(['a', 'b']);
    cluster.turns(1_000);
    const former = recorded(cluster);
    cluster.start('a');
    cluster.start('b');
    cluster.turns(1_000);
    const all = recorded(cluster);
    cluster.agents.delete('b');
    cluster.turns(2_000);
    for (const first of [former[0] ?? assert.fail(), former.at(-1) ?? assert.fail()]) {
      for (const heartbeat of [first, ...all]) cluster.of('a').heard(heartbeat, cluster.now);
      assert.deepEqual(cluster.sees('a'), []);
    }
  });

  it('of a former start does not keep two from finding each other that both start', () => {
    const cluster = new Cluster(['a', 'b']);
    cluster.turns(1_000);
    const former = cluster.sent.slice();
    cluster.start('a');
    cluster.start('b');
    for (let i = 0; i < 20; i++) {
      for (const { to, heartbeat } of former) cluster.of(to).heard(heartbeat, cluster.now);
      cluster.turn();
    }
    assert.deepEqual([cluster.sees('a'), cluster.sees('b')], [['b'], ['a']]);
  });

  it('under our own name is another agent’s', () => {
    const cluster = new Cluster(['a', 'b']);
    const twin = new Membership('a', 'another');
    const heartbeat = { ...twin.addressed('a', 0), isReady: true, links: [], ...twin.hearsay(0) };
    assert.match(cluster.of('a').heard(heartbeat, 0) ?? '', /under the name of this node/);
  });
});
