import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { readLines } from './lines.ts';

describe('readLines()', () => {
  it('gives the same lines wherever the text is cut into pieces', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ unit: fc.constantFrom('a', '€', '\u2028', '\r', '😀'), maxLength: 5 }), { maxLength: 6 }),
        fc.array(fc.nat({ max: 7 }), { minLength: 1 }),
        async (lines, sizes) => {
          const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
          const stream = new PassThrough();
          const heard: string[] = [];
          const done = readLines(stream, (line) => heard.push(line), 60_000);
          for (let at = 0, i = 0; at < bytes.length; i++) {
            const size = 1 + (sizes[i % sizes.length] ?? 0);
            stream.write(bytes.subarray(at, at + size));
            at += size;
          }
          stream.end('cut off');
          await done;
          assert.deepEqual(
            heard,
            lines.filter((line) => line !== ''),
          );
        },
      ),
    );
  });

  it('calls in the tick in which the last byte of a line arrives', async () => {
    const stream = new PassThrough();
    const heard: string[] = [];
    const done = readLines(stream, (line) => heard.push(line), 60_000);
    stream.resume();
    stream.emit('data', 'one\ntw');
    assert.deepEqual(heard, ['one']);
    stream.emit('data', 'o\n');
    assert.deepEqual(heard, ['one', 'two']);
    stream.end();
    await done;
  });
});
