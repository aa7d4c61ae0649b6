/** Plays every transcript in this folder. `REWRITE=1` writes down what is printed now; be able to explain the diff. */
import assert from 'node:assert/strict';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseTranscript, printTranscript, type Step } from './transcript.ts';
import { World } from './world.ts';

describe('scenario', () => {
  let world: World;
  beforeEach(async () => {
    world = await World.create();
  });
  afterEach(() => world.close());

  for (const path of globSync(new URL('*.txt', import.meta.url).pathname).sort()) {
    it(basename(path, '.txt'), async () => {
      const text = readFileSync(path, 'utf8');
      const played: Step[] = [];
      for (const step of parseTranscript(text)) {
        const printed: string[] = [];
        for (const command of step.commands) printed.push(...(await world.run(command)));
        played.push({ ...step, expected: printed });
      }
      if (process.env['REWRITE'] === '1') writeFileSync(path, printTranscript(played));
      else assert.equal(printTranscript(played), text);
    });
  }
});
