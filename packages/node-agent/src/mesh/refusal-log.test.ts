import assert from 'node:assert/strict';
import { FakeClock } from '@tombolo/shared/process/clock.fixture.ts';
import { type LogFields, silentLogger } from '@tombolo/shared/process/logger.ts';
import { RefusalLog } from './refusal-log.ts';

describe('RefusalLog', () => {
  it('gives the first few of each minute, and how many more there were', async () => {
    const clock = new FakeClock();
    const lines: LogFields[] = [];
    const log = new RefusalLog({ ...silentLogger, warn: (fields) => void lines.push(fields) }, clock);
    for (const refused of [7, 1]) {
      for (let i = 0; i < refused; i++) log.refused(`key-${i}`, 'junk');
      await clock.advance(60_000);
    }
    assert.deepEqual(
      lines.map(({ key, more }) => key ?? more),
      ['key-0', 'key-1', 'key-2', 'key-3', 'key-4', 2, 'key-0'],
    );
    log.refused('key', 'junk');
    log.close();
    assert.equal(clock.waiting, 0);
  });
});
