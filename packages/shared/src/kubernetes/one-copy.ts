/**
 * One copy of texts that thousands of objects repeat, as the names of nodes and zones: JSON gives each object its own.
 * When there are too many different ones, all are forgotten; those in use stay, and new copies are shared from there on.
 */
const MOST = 10_000;
const copies = new Map<string, string>();

export function oneCopy(text: string): string {
  const known = copies.get(text);
  if (known !== undefined) return known;
  if (copies.size >= MOST) copies.clear();
  copies.set(text, text);
  return text;
}
