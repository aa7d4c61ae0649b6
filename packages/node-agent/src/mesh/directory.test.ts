import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compareLook, followDirectory, lookAt } from './directory.ts';
import { settle, TestClock } from './mesh.fixture.ts';

const none = new Map<string, string>();
const look = (files: Record<string, string>, unreadable = none) => ({
  files: new Map(Object.entries(files)),
  unreadable,
});

describe('compareLook()', () => {
  const known = new Map([['west', '1']]);
  it('tells new and changed contents only', () => {
    assert.deepEqual(compareLook(known, new Set(), look({ west: '1', north: '2' })).changed, new Map([['north', '2']]));
    assert.deepEqual(compareLook(known, new Set(), look({ west: '2' })).changed, new Map([['west', '2']]));
  });

  it('takes a file for gone only when two looks missed it', () => {
    const first = compareLook(known, new Set(), look({}));
    assert.deepEqual([first.changed.size, [...first.missing]], [0, ['west']]);
    assert.deepEqual(compareLook(known, first.missing, look({})).changed, new Map([['west', undefined]]));
    assert.equal(compareLook(known, first.missing, look({ west: '1' })).missing.size, 0);
  });

  it('leaves a file as it was known while it cannot be read', () => {
    const { changed, missing } = compareLook(known, new Set(['west']), look({}, new Map([['west', 'EACCES']])));
    assert.deepEqual([changed.size, missing.size], [0, 0]);
  });
});

describe('followDirectory()', () => {
  let directory = '';
  const clock = new TestClock();
  const heard: [string, string | undefined][] = [];
  const problems = new Set<string>();
  let looks = 0;
  let told = 0;
  let ending: AbortController;
  let following: Promise<void> = Promise.resolve();

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tbl-mesh-'));
    heard.length = 0;
    told = 0;
    problems.clear();
    ending = new AbortController();
  });
  afterEach(async () => {
    ending.abort();
    await following;
    await rm(directory, { recursive: true, force: true });
  });

  function start(path: string): void {
    following = followDirectory(
      {
        directory: path,
        remembered: new Set(['west']),
        clock,
        pollMs: 5_000,
        confirmMs: 1_000,
        changed: async (changes) => {
          told++;
          heard.push(...changes);
        },
        problem: (reason) => {
          looks++;
          problems.add(reason);
        },
      },
      ending.signal,
    );
  }

  /** Lets time pass until so many more looks were taken; the file system needs its own time for each. */
  async function look(times = 1): Promise<void> {
    const until = looks + times;
    for (const deadline = Date.now() + 5_000; looks < until && Date.now() < deadline; ) await clock.advance(5_000);
    assert.ok(looks >= until, 'expected it to look again');
    await settle();
  }

  it('hears of files that appear, change and go, and of clusters only', async () => {
    await writeFile(join(directory, 'west'), 'endpoints: 1');
    await writeFile(join(directory, 'west.crt'), 'certificate');
    await mkdir(join(directory, 'endpoints:'));
    start(directory);
    await look(3);
    assert.equal(told, 1, 'once, while nothing changes');
    assert.deepEqual(heard.splice(0), [['west', 'endpoints: 1']]);
    await writeFile(join(directory, 'west'), 'endpoints: 2');
    await writeFile(join(directory, 'north'), 'endpoints: 3');
    await look(2);
    assert.deepEqual(
      new Map(heard.splice(0)),
      new Map([
        ['west', 'endpoints: 2'],
        ['north', 'endpoints: 3'],
      ]),
    );
    await rm(join(directory, 'west'));
    await look(3);
    assert.deepEqual(heard.splice(0), [['west', undefined]]);
  });

  it('keeps a cluster whose file was emptied, says so, and takes the next version', async () => {
    const file = join(directory, 'west');
    await writeFile(file, 'endpoints: 1');
    await writeFile(join(directory, 'west.crt'), 'certificate');
    start(directory);
    await look();
    await writeFile(file, '');
    await look(4);
    assert.deepEqual(heard.splice(0), [['west', 'endpoints: 1']]);
    assert.deepEqual(
      [...problems],
      ['', 'Cannot read clustermesh file west: expected endpoints: it has none any more'],
    );
    await writeFile(file, 'endpoints: 2');
    await look(2);
    assert.deepEqual(heard, [['west', 'endpoints: 2']]);
  });

  it('follows a Secret mount through its symlinks, and hears nothing of a swap to the same contents', async () => {
    const version = async (name: string, content: string) => {
      await mkdir(join(directory, name));
      await writeFile(join(directory, name, 'west'), content);
      await symlink(name, join(directory, '..data_tmp'));
      await rename(join(directory, '..data_tmp'), join(directory, '..data'));
    };
    await version('..1', 'endpoints: 1');
    await symlink('..data/west', join(directory, 'west'));
    start(directory);
    await look();
    await version('..2', 'endpoints: 1');
    await look(2);
    await version('..3', 'endpoints: 2');
    await look(2);
    assert.deepEqual(heard, [
      ['west', 'endpoints: 1'],
      ['west', 'endpoints: 2'],
    ]);
  });

  it('waits for a missing directory, says so, and forgets nothing when it vanishes', async () => {
    const path = join(directory, 'later');
    start(path);
    await look();
    assert.deepEqual([...problems], [`Cannot read clustermesh directory ${path}: ENOENT`]);
    await mkdir(path);
    await writeFile(join(path, 'west'), 'endpoints: 1');
    await look(2);
    await rename(path, join(directory, 'away'));
    await look(3);
    assert.deepEqual(heard, [['west', 'endpoints: 1']]);
  });

  it('lookAt() reads no file that is too large for a cluster’s', async () => {
    const text = 'endpoints: [http://a]'.padEnd(1024 * 1024);
    await writeFile(join(directory, 'west'), text);
    await writeFile(join(directory, 'huge'), `${text} `);
    const seen = await lookAt(directory);
    assert.ok(seen.kind === 'listed');
    assert.deepEqual([[...seen.files.keys()], seen.unreadable.size], [['west'], 0]);
  });

  it('lookAt() gives dangling symlinks and loops as what they are', async () => {
    await symlink('nowhere', join(directory, 'west'));
    await symlink('loop', join(directory, 'loop'));
    const seen = await lookAt(directory);
    assert.ok(seen.kind === 'listed');
    assert.deepEqual([seen.files.size, [...seen.unreadable]], [0, [['loop', 'ELOOP']]]);
  });
});
