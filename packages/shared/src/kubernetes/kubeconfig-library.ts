/**
 * Of `@kubernetes/client-node`, what reads kubeconfigs and nothing else. Its config.js also imports what it needs to make
 * API clients, which we never ask it for: a thousand generated classes, and undici. That is 75 MB resident and half a
 * second of each start; OpenID Connect and SOCKS, which few use, are another 15 ms. While it is loaded, those names lead to
 * stand-ins, and `http` to the way that spares undici.
 */
import { registerHooks } from 'node:module';

const API_CLIENTS = import.meta.resolve('./no-api-clients.ts');
const ON_DEMAND = import.meta.resolve('./on-demand-libraries.ts');
const HTTP = import.meta.resolve('../process/node-http.ts');
const INSTEAD: ReadonlyMap<string, string> = new Map([
  ['./gen/index.js', API_CLIENTS],
  ['undici', API_CLIENTS],
  ['socks', API_CLIENTS],
  ['socks-proxy-agent', ON_DEMAND],
  ['./oidc_auth.js', ON_DEMAND],
  ['http', HTTP],
  ['node:http', HTTP],
]);

const hooks = registerHooks({
  resolve: (specifier, context, nextResolve) => {
    const url = context.conditions.includes('import') ? INSTEAD.get(specifier) : undefined;
    return url === undefined ? nextResolve(specifier, context) : { url, shortCircuit: true };
  },
});
export const { KubeConfig } = await import('@kubernetes/client-node/dist/config.js');
hooks.deregister();
