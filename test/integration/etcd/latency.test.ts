import assert from 'node:assert/strict';
import { connectReader, connectWriter } from '@tombolo/shared/etcd/connect.ts';
import { measurePutToWatch } from '../../bench/etcd-baseline.ts';
import { EtcdServer } from './etcd-server.ts';

describe('measurePutToWatch()', () => {
  it('measurePutToWatch() hears every put of its own', async () => {
    const server = await EtcdServer.start();
    const reader = connectReader({ endpoints: [server.endpoint] });
    const writer = connectWriter({ endpoints: [server.endpoint] });
    try {
      const { took, median, p99 } = await measurePutToWatch(reader, writer, 200);
      assert.equal(took.length, 200);
      assert.ok(median > 0 && median <= p99);
    } finally {
      reader.close();
      writer.close();
      await server.stop();
    }
  });
});
