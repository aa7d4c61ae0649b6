/**
 * What the development cluster has instead of container images: a few programs of its own, and whatever is installed on
 * this machine, when the container names a command.
 *
 *   echo     answers on HTTP, TCP and UDP who it is
 *   client   waits; a place to run commands in
 */
import { join } from 'node:path';
import type { Container } from '@tombolo/machine/kubernetes/objects.ts';

const ECHO = join(import.meta.dirname, '../../../machine/src/programs/echo.ts');

const IMAGES: Readonly<Record<string, readonly string[]>> = {
  echo: [process.execPath, ECHO],
  client: ['sleep', 'infinity'],
};

/** Undefined when the image has no program here and the container names no command. */
export function commandOf({ image, command = [], args = [] }: Container): readonly string[] | undefined {
  if (command.length > 0) return [...command, ...args];
  const program = IMAGES[imageName(image)];
  return program && [...program, ...args];
}

/** Without registry, tag and digest. */
function imageName(image: string): string {
  return (image.split('/').at(-1) ?? image).replace(/[:@].*$/, '');
}
