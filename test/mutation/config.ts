/**
 * Stryker's settings, from the environment: for one room (`MUTATE_ROOM`), or some of its files (`MUTATE_FILES`), and for
 * so many of a hundred lines (`MUTATE_SAMPLE`), always the same ones; then nothing that takes several lines is changed.
 * Texts are left as they are (StringLiteral): either they are for people, or they are types, which the compiler checks.
 */
import { globSync, readFileSync } from 'node:fs';
import { ROOMS } from './rooms.ts';

const name = process.env['MUTATE_ROOM'] ?? '';
const room = ROOMS[name];
if (!room) throw new Error(`Cannot mutate "${name}": expected one of ${Object.keys(ROOMS).join(', ')}`);
const files = process.env['MUTATE_FILES']?.split(' ').filter((file) => file !== '') ?? [];
const share = Number(process.env['MUTATE_SAMPLE'] ?? 100);

const isTest = (file: string): boolean => /\.(test|fixture)\.ts$/.test(file);
const sources = globSync(files.length > 0 ? files : [...room.sources]).filter((file) => !isTest(file));

/** Knuth's multiplicative hash of the line's number: neither neighbours nor multiples are chosen together. */
const isChosen = (line: number): boolean => (Math.imul(line, 0x9e3779b1) >>> 0) % 100 < share;

const sampled = (file: string): readonly string[] => {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.flatMap((_, at) => (isChosen(at + 1) ? [`${file}:${at + 1}-${at + 1}`] : []));
};

export default {
  testRunner: 'mocha',
  plugins: ['@stryker-mutator/mocha-runner'],
  inPlace: true,
  concurrency: 1,
  // Only the tests that reach a mutant run against it, each in the process that is there; one that hangs is ended.
  coverageAnalysis: 'perTest',
  timeoutMS: 3000,
  timeoutFactor: 3,
  mutate: share < 100 ? sources.sort().flatMap(sampled) : sources.sort(),
  mutator: { excludedMutations: ['StringLiteral'] },
  mochaOptions: { config: '.mocharc.json', spec: room.tests },
  reporters: ['progress-append-only', 'json'],
  jsonReporter: { fileName: `reports/${name}.json` },
};
