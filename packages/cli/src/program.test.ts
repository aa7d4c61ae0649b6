import assert from 'node:assert/strict';
import { status } from '@grpc/grpc-js';
import { agentError } from './agent-error.ts';
import { parseService } from './program.ts';

describe('parseService()', () => {
  const good = [
    ['shop/cart', undefined, { namespace: 'shop', name: 'cart' }],
    ['cart', 'shop', { namespace: 'shop', name: 'cart' }],
    ['cart', undefined, { namespace: 'default', name: 'cart' }],
    ['shop/cart', 'shop', { namespace: 'shop', name: 'cart' }],
  ] as const;
  for (const [text, namespace, value] of good) {
    it(`reads ${text} with -n ${namespace}`, () =>
      assert.deepEqual(parseService(text, namespace), { ok: true, value }));
  }
  for (const [text, namespace] of [['a/b/c'], ['/b'], ['a/'], [''], ['shop/cart', 'other']] as const) {
    it(`refuses ${JSON.stringify(text)} with -n ${namespace}`, () =>
      assert.equal(parseService(text, namespace).ok, false));
  }
});

describe('agentError()', () => {
  const socket = { kind: 'unix', path: '/run/tombolo/agent.sock' } as const;
  const other = { kind: 'tcp', host: '10.0.0.1', port: 7 } as const;
  const cases = [
    {
      name: 'no socket',
      error: agentError(socket, { code: status.UNAVAILABLE, details: 'Last error: connect ENOENT /run/x' }, 1),
      want: [
        'unreachable',
        'Cannot reach the agent at unix:///run/tombolo/agent.sock: there is no such socket; is the agent running on this node? Give another address with --address or TOMBOLO_ADDRESS',
      ],
    },
    {
      name: 'nobody listening',
      error: agentError(other, { code: status.UNAVAILABLE, details: 'connect ECONNREFUSED 10.0.0.1:7' }, 1),
      want: [
        'unreachable',
        'Cannot reach the agent at 10.0.0.1:7: nothing listens there; is the agent running? Check --address and TOMBOLO_ADDRESS',
      ],
    },
    {
      name: 'no answer',
      error: agentError(other, { code: status.DEADLINE_EXCEEDED, details: '' }, 1_500),
      want: ['unreachable', 'The agent at 10.0.0.1:7 did not answer within 1.5 s: try a longer --timeout'],
    },
    {
      name: 'an agent that stops',
      error: agentError(other, { code: status.UNAVAILABLE, details: 'The agent is shutting down' }, 1),
      want: ['unreachable', 'The agent at 10.0.0.1:7 went away: it stops or restarts'],
    },
    {
      name: 'no such Service',
      error: agentError(other, { code: status.NOT_FOUND, details: 'Service a/b is not known to any cluster' }, 1),
      want: ['not-found', 'Service a/b is not known to any cluster'],
    },
    {
      name: 'another server',
      error: agentError(other, { code: status.UNIMPLEMENTED, details: '' }, 1),
      want: ['refused', 'What answers at 10.0.0.1:7 is not a Tombolo agent'],
    },
  ] as const;
  for (const { name, error, want } of cases)
    it(`says ${name}`, () => assert.deepEqual([error.kind, error.message], want));
});
