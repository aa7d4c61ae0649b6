import assert from 'node:assert/strict';
import { attribute, nested } from '../netlink/messages.ts';
import { isAsAsked } from './as-asked.ts';

const rule = (...expressions: readonly Buffer[]): Buffer =>
  Buffer.concat([attribute(1, 'tombolo'), nested(4, ...expressions.map((one) => nested(1, one)))]);
const load = attribute(1, 'payload');
const compare = Buffer.concat([attribute(1, 'cmp'), attribute(2, 7)]);

describe('isAsAsked()', () => {
  const cases: readonly (readonly [name: string, asked: Buffer, told: Buffer, is: boolean])[] = [
    ['takes what is the same', rule(load, compare), rule(load, compare), true],
    ['takes what says more', attribute(1, 'x'), Buffer.concat([attribute(9, 5), attribute(1, 'x')]), true],
    ['takes more inside, too', nested(1, load), nested(1, load, attribute(2, 1)), true],
    ['takes that a value of 0 is not told', Buffer.concat([load, attribute(2, 0)]), load, true],
    ['refuses that another value is not told', Buffer.concat([load, attribute(2, 256)]), load, false],
    ['refuses another value', attribute(1, 1), attribute(1, 2), false],
    ['refuses another value inside', rule(load, compare), rule(load, Buffer.concat([compare, attribute(2, 8)])), false],
    ['refuses one expression more', rule(load), rule(load, compare), false],
    ['refuses one expression less', rule(load, compare), rule(load), false],
    ['refuses another order', rule(load, compare), rule(compare, load), false],
  ];
  for (const [name, asked, told, is] of cases) it(name, () => assert.equal(isAsAsked(asked, told), is));
});
