/** The responder on frames of every kind, most of them wrong: `L2_FRAMES` sets how many; a million take a minute. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const TRIAL = fileURLToPath(new URL('responder-trial.ts', import.meta.url));
const BUILD = fileURLToPath(new URL('../../../scripts/build-bpf', import.meta.url));
/** `max_entries` of its map. */
const MOST_CLAIMS = 16_384;
const FRAMES = process.env['L2_FRAMES'] ?? '100000';

describe('what answers ARP and neighbor solicitations', () => {
  it(`answers what it should, and nothing else, of ${FRAMES} frames`, () => {
    execFileSync(BUILD);
    const seed = `${(Date.now() % 0x7fff_ffff) + 1}`;
    const trial = ['--net', process.execPath, TRIAL, FRAMES, seed];
    const { wrong, answers, counted, invented, missed, kept } = JSON.parse(execFileSync('unshare', trial).toString());
    assert.deepEqual({ seed, wrong, invented, missed }, { seed, wrong: [], invented: [], missed: [] });
    assert.ok(answers > Number(FRAMES) / 200 && counted > 3, `${answers} answers, ${counted} claims`);
    assert.ok(kept > 1_000 && kept <= MOST_CLAIMS, `${kept} claims are kept`);
  });
});
