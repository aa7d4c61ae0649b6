/**
 * The environment of everything that a mesh runs: not ours, so that a proxy setting, a KUBECONFIG or a secret of the
 * user's shell neither bends what happens in the mesh nor leaks into it.
 */
import { delimiter, join } from 'node:path';

/** The repository; programs are started from its sources. */
export const REPOSITORY = join(import.meta.dirname, '../../..');

const KEPT = ['HOME', 'XDG_CACHE_HOME', 'TOMBOLO_KUBERNETES_BINARIES', 'LANG', 'TERM', 'TZ', 'NO_COLOR'];
/** `ip` and `nft` live in sbin, which a plain `su` does not have in its path. */
const SBIN = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

export function programEnvironment(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const kept = KEPT.flatMap((name): [string, string][] => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value]];
  });
  const path = new Set([...(process.env['PATH'] ?? '/usr/bin:/bin').split(delimiter), ...SBIN]);
  return {
    ...Object.fromEntries(kept),
    PATH: [...path].join(delimiter),
    NODE_COMPILE_CACHE: join(REPOSITORY, '.tools/compile-cache'),
    ...extra,
  };
}
