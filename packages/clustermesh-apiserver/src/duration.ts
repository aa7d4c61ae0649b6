/** Durations as Go's flags spell them: `15m`, `1h30m`, `900s`. */
const SECONDS: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1 };

/** Whole seconds; undefined for text that is no duration. */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d+[hms])+$/.test(text)) return undefined;
  let seconds = 0;
  for (const [, number, unit = ''] of text.matchAll(/(\d+)([hms])/g)) seconds += Number(number) * (SECONDS[unit] ?? 0);
  return seconds;
}
