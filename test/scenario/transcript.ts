/** A transcript is a conversation: commands, a line `----`, what they printed, an empty line. `#` starts a comment. */
export interface Step {
  /** Comments and empty lines before the commands, kept as they are. */
  readonly preface: readonly string[];
  readonly commands: readonly string[];
  readonly expected: readonly string[];
}

export function parseTranscript(text: string): readonly Step[] {
  const steps: Step[] = [];
  let [preface, commands]: [string[], string[]] = [[], []];
  const lines = text.split('\n');
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? '';
    if (line === '----') {
      const end = lines.indexOf('', at);
      steps.push({ preface, commands, expected: lines.slice(at + 1, end < 0 ? undefined : end) });
      [preface, commands] = [[], []];
      at = end < 0 ? lines.length : end;
    } else if (commands.length === 0 && (line === '' || line.startsWith('#'))) preface.push(line);
    else commands.push(line);
  }
  return steps;
}

export const printTranscript = (steps: readonly Step[]): string =>
  steps
    .map(({ preface, commands, expected }) => [...preface, ...commands, '----', ...expected, ''].join('\n'))
    .join('\n');
