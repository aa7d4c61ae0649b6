/**
 * Writes JSON with the bytes that Go's encoding/json writes: no spaces, fields in the order of the struct, map keys
 * sorted by their UTF-8 bytes, and `<`, `>`, `&`, U+2028 and U+2029 escaped in strings.
 */
const HTML_ESCAPES = /[<>&\u2028\u2029]/g;

export function goString(text: string): string {
  return JSON.stringify(text.toWellFormed()).replace(
    HTML_ESCAPES,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** A struct: names with values that are encoded already. `undefined` stands for a field left out by `omitempty`. */
export function goStruct(fields: readonly (readonly [name: string, encoded: string | undefined])[]): string {
  const members = fields.flatMap(([name, encoded]) => (encoded === undefined ? [] : [`"${name}":${encoded}`]));
  return `{${members.join(',')}}`;
}

export function goMap<T>(map: ReadonlyMap<string, T> | null, encode: (value: T) => string): string {
  if (map === null) return 'null';
  const keys = [...map.keys()].sort(compareUtf8);
  return `{${keys.map((key) => `${goString(key)}:${encode(map.get(key) as T)}`).join(',')}}`;
}

export function goList<T>(list: readonly T[] | null, encode: (value: T) => string): string {
  return list === null ? 'null' : `[${list.map(encode).join(',')}]`;
}

export const goStringMap = (map: ReadonlyMap<string, string> | null): string => goMap(map, goString);

/** Fields with `omitempty`: the encoded value, or undefined when empty. */
export const unlessEmpty = (text: string): string | undefined => (text === '' ? undefined : goString(text));

/** The order of the UTF-8 bytes, which differs from that of UTF-16 units beyond the basic plane. */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = byCodePoint(a.charCodeAt(i)) - byCodePoint(b.charCodeAt(i));
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Moves surrogates above U+E000..U+FFFF, where the code points that they stand for belong. */
function byCodePoint(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}
