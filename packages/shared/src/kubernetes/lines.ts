/**
 * Lines of a response as they arrive. Splits at \n only (JSON text may hold U+2028, which a general line reader takes
 * for a line end), calls synchronously from the socket's data event, and drops a last line that was cut off.
 */
import type { Readable } from 'node:stream';

/** Resolves at the end of the response; rejects when it breaks, is silent for `idleMs`, or with what `line` threw. */
export function readLines(response: Readable, line: (text: string) => void, idleMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let rest = '';
    const idle = setTimeout(() => response.destroy(new Error(`nothing heard for ${idleMs} ms`)), idleMs);
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => {
      idle.refresh();
      const text = rest + chunk;
      let start = 0;
      try {
        for (let end = text.indexOf('\n', rest.length); end >= 0; end = text.indexOf('\n', start)) {
          const found = text.slice(start, end);
          start = end + 1;
          if (found !== '') line(found);
        }
      } catch (error) {
        response.destroy(error instanceof Error ? error : new Error(String(error)));
      }
      rest = text.slice(start);
    });
    response.once('end', resolve);
    response.once('error', reject);
    response.once('close', () => {
      clearTimeout(idle);
      resolve();
    });
  });
}
