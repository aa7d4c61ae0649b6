import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type Json, JsonNumber, parseJson } from './json-parser.ts';

/** The plain value that JSON.parse would give. */
function plain(json: Json): unknown {
  if (json instanceof JsonNumber) return Number(json.literal);
  if (Array.isArray(json)) return json.map(plain);
  if (!(json instanceof Map)) return json;
  const object = Object.create(null) as Record<string, unknown>;
  for (const [key, value] of json) Object.defineProperty(object, key, { value: plain(value), enumerable: true });
  return object;
}

const withoutPrototypes = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withoutPrototypes);
  if (typeof value !== 'object' || value === null) return value;
  const object = Object.create(null) as Record<string, unknown>;
  for (const key of Object.keys(value)) {
    Object.defineProperty(object, key, { value: withoutPrototypes(Reflect.get(value, key)), enumerable: true });
  }
  return object;
};

function oracle(text: string): { value: unknown } | undefined {
  try {
    return { value: withoutPrototypes(JSON.parse(text)) };
  } catch {
    return undefined;
  }
}

function agreesWithOracle(text: string): void {
  const parsed = parseJson(text);
  const expected = oracle(text);
  if (!parsed.ok && /given twice|deep/.test(parsed.error)) return;
  assert.equal(parsed.ok, expected !== undefined, text);
  if (parsed.ok) assert.deepEqual(plain(parsed.value), expected?.value);
}

describe('parseJson()', () => {
  it('reads what JSON.parse reads', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), fc.constantFrom(undefined, 1, '\t'), (text, space) => {
        agreesWithOracle(JSON.stringify(JSON.parse(text), null, space));
      }),
    );
  });

  for (const text of ['1e5', '1E+5', '-0', '1e', 'nul', 'nulx', 'trux', '"', '"a', '[tru]', '[nil1]']) {
    it(`takes ${text} for what JSON.parse takes it`, () => agreesWithOracle(text));
  }

  it('refuses what JSON.parse refuses, whatever the junk', () => {
    const token = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"',
      '\\',
      '1',
      '-',
      '0',
      '.5',
      'e3',
      'true',
      'null',
      ' ',
      '\n',
      '"\\u00e9"',
      '"\\x"',
      '\u0001',
    );
    fc.assert(
      fc.property(
        fc.array(token).map((tokens) => tokens.join('')),
        agreesWithOracle,
      ),
      { numRuns: 2000 },
    );
    fc.assert(fc.property(fc.string({ unit: 'binary' }), agreesWithOracle));
  });

  const refused: readonly [string, string, RegExp][] = [
    ['a repeated key', '{"a":1,"a":2}', /keys must not be repeated: "a" is given twice/],
    ['deep nesting', '['.repeat(100_000), /nested at most 200 deep/],
    ['an empty value', '', /expected a JSON value at offset 0: found the end/],
    ['something after the value', '{} x', /expected the end of the JSON text at offset 3/],
    ['a byte order mark', '\ufeff{}', /expected a JSON value at offset 0/],
    ['an unfinished string', '"abc\\', /expected the end of the string/],
  ];
  for (const [title, text, reason] of refused) {
    it(`refuses ${title} with a reason`, () => {
      const parsed = parseJson(text);
      assert.ok(!parsed.ok);
      assert.match(parsed.error, reason);
    });
  }

  it('keeps __proto__ as a key and numbers as written', () => {
    const parsed = parseJson('{"__proto__":{"a":1},"n":1.50}');
    assert.ok(parsed.ok && parsed.value instanceof Map);
    assert.ok(parsed.value.get('__proto__') instanceof Map);
    assert.equal((parsed.value.get('n') as JsonNumber).literal, '1.50');
    assert.equal(({} as Record<string, unknown>)['a'], undefined);
  });
});
