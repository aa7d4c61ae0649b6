/**
 * Plays every transcript in this folder against the small Kubernetes and against the real one: what they print is the
 * same, but for what must differ. `REWRITE=1` writes down what the real one prints.
 */
import assert from 'node:assert/strict';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseTranscript, printTranscript, type Step } from '../../scenario/transcript.ts';
import { type Cluster, realCluster, smallCluster } from './cluster.ts';
import { Player } from './player.ts';

const rewrites = process.env['REWRITE'] === '1';

for (const [name, start] of [
  ['real', realCluster],
  ['small', smallCluster],
] as const) {
  describe(`transcripts of the ${name} Kubernetes`, () => {
    let cluster: Cluster;

    before(async () => {
      cluster = await start();
    });
    after(() => cluster?.close());

    for (const path of globSync(new URL('*.txt', import.meta.url).pathname).sort()) {
      it(basename(path, '.txt'), async () => {
        const text = readFileSync(path, 'utf8');
        const player = new Player(cluster, basename(path, '.txt'));
        await player.open();
        const played: Step[] = [];
        for (const step of parseTranscript(text)) played.push({ ...step, expected: await player.play(step.commands) });
        player.close();
        if (rewrites && name === 'real') writeFileSync(path, printTranscript(played));
        else assert.equal(printTranscript(played), text);
      });
    }
  });
}
