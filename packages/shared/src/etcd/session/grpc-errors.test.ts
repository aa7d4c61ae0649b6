import assert from 'node:assert/strict';
import type { EtcdErrorKind } from './errors.ts';
import { EtcdError, isBeyondRepair } from './errors.ts';
import { toEtcdError } from './grpc-errors.ts';

function grpcError(code: number, details: string): Error {
  return Object.assign(new Error(`${code} X: ${details}`), { code, details });
}

describe('toEtcdError()', () => {
  const cases: { code: number; details: string; kind: EtcdErrorKind }[] = [
    { code: 7, details: 'etcdserver: permission denied', kind: 'unauthorized' },
    { code: 3, details: 'etcdserver: authentication failed, invalid user ID or password', kind: 'unauthorized' },
    { code: 3, details: 'etcdserver: user name is empty', kind: 'unauthorized' },
    { code: 16, details: 'etcdserver: invalid auth token', kind: 'unavailable' },
    { code: 3, details: 'etcdserver: revision of auth store is old', kind: 'unavailable' },
    { code: 11, details: 'etcdserver: mvcc: required revision has been compacted', kind: 'compacted' },
    { code: 11, details: 'etcdserver: mvcc: required revision is a future revision', kind: 'compacted' },
    { code: 5, details: 'etcdserver: requested lease not found', kind: 'lease-lost' },
    { code: 3, details: 'etcdserver: request is too large', kind: 'too-large' },
    { code: 8, details: 'Received message larger than max (5 vs. 4)', kind: 'too-large' },
    { code: 8, details: 'grpc: received message larger than max (5 vs. 4)', kind: 'too-large' },
    { code: 8, details: 'etcdserver: mvcc: database space exceeded', kind: 'no-space' },
    { code: 14, details: 'etcdserver: no leader', kind: 'unavailable' },
    { code: 4, details: 'Deadline exceeded', kind: 'unavailable' },
  ];
  for (const { code, details, kind } of cases) {
    it(`toEtcdError() makes ${kind} of code ${code} "${details}"`, () => {
      const error = toEtcdError(grpcError(code, details), 'read "a"', 'http://e:1');
      assert.equal(error.kind, kind);
      assert.match(error.message, /^Cannot read "a" at http:\/\/e:1: expected .+: .+/);
    });
  }

  it('toEtcdError() says why no connection could be made, without the wrapping', () => {
    const details =
      'No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:1. Resolution note: more';
    assert.equal(
      toEtcdError(grpcError(14, details), 'read "a"', 'http://e:1').message,
      'Cannot read "a" at http://e:1: expected an answer: connect ECONNREFUSED 127.0.0.1:1',
    );
  });

  it('toEtcdError() says that a certificate is of another authority, without advice that does not help', () => {
    const details =
      'No connection established. Last error: Error: unable to verify the first certificate; if the root CA is installed locally, try running Node.js with --use-system-ca. Resolution note: ';
    assert.equal(
      toEtcdError(grpcError(14, details), 'read "a"', 'https://e:1').message,
      'Cannot read "a" at https://e:1: expected an answer: its certificate is of another authority than the one that is given (unable to verify the first certificate)',
    );
  });

  it('toEtcdError() says how long it waited, without what gRPC did meanwhile', () => {
    const details = 'Deadline exceeded after 10.000s,Waiting for LB pick';
    assert.equal(
      toEtcdError(grpcError(4, details), 'read "a"', 'http://e:1').message,
      'Cannot read "a" at http://e:1: expected an answer: none came within 10 s',
    );
  });

  it('toEtcdError() leaves its own errors alone', () => {
    const error = new EtcdError('closed', 'x');
    assert.equal(toEtcdError(error, 'a', 'b'), error);
  });
});

describe('isBeyondRepair()', () => {
  it('isBeyondRepair() is false for what time may heal', () => {
    assert.ok(!isBeyondRepair(new EtcdError('unavailable', 'x')));
    assert.ok(!isBeyondRepair(new EtcdError('compacted', 'x')));
    assert.ok(!isBeyondRepair(new Error('x')));
    assert.ok(isBeyondRepair(new EtcdError('unauthorized', 'x')));
    assert.ok(isBeyondRepair(new EtcdError('cluster-changed', 'x')));
  });
});
