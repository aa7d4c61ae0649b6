/**
 * For `node --import`: an agent asks for its capabilities before it tries anything. Here it does not, so that it is the
 * kernel that refuses, or does not.
 */
import { registerHooks } from 'node:module';

const QUESTION = 'if (capabilities !== undefined) return fail(capabilities);';

registerHooks({
  load(url, context, next) {
    const loaded = next(url, context);
    if (!url.endsWith('/datapath/ebpf/probe.ts')) return loaded;
    const source = String(loaded.source);
    if (!source.includes(QUESTION)) throw new Error(`Cannot find in ${url}: ${QUESTION}`);
    return { ...loaded, source: source.replace(QUESTION, '') };
  },
});
