import assert from 'node:assert/strict';
import { type Logger, silentLogger } from '@tombolo/shared/process/logger.ts';
import { persist } from './persist.ts';

describe('persist()', () => {
  it('tries until it works, reports each try, and logs each reason once', async () => {
    const reasons: string[] = [];
    const log: Logger = { ...silentLogger, warn: (fields) => void reasons.push(`${fields['reason']}`) };
    const attempts = ['busy', 'busy', 'forbidden', undefined];
    const states: string[] = [];
    const { promise: opened, resolve } = Promise.withResolvers<void>();
    const open = async () => {
      const failure = attempts.shift();
      if (failure !== undefined) throw new Error(failure);
      resolve();
      return { close: async () => void states.push('closed') };
    };
    const report = ({ kind }: { readonly kind: string }) => void states.push(kind);
    const server = await persist(open, { log, report, firstWaitMs: 1 });
    await opened;
    await server.close();
    assert.deepEqual(reasons, ['busy', 'forbidden']);
    assert.deepEqual(states, ['degraded', 'degraded', 'degraded', 'ok', 'closed']);
  });
});
