/** What `kubeconfig-library.ts` gives the library in place of libraries that few kubeconfigs need: the first that does loads them. */
import type { Agent } from 'node:http';
import { createRequire } from 'node:module';
import type { User } from '@kubernetes/client-node';
import type { OpenIDConnectAuth as Library } from '@kubernetes/client-node/dist/oidc_auth.js';

const requireOfLibrary = createRequire(import.meta.resolve('@kubernetes/client-node/dist/config.js'));

export class OpenIDConnectAuth {
  #loaded: Promise<Library> | undefined;

  isAuthProvider({ authProvider }: User): boolean {
    return authProvider?.name === 'oidc';
  }

  async applyAuthentication(...request: Parameters<Library['applyAuthentication']>): Promise<void> {
    this.#loaded ??= import('@kubernetes/client-node/dist/oidc_auth.js').then(
      (library) => new library.OpenIDConnectAuth(),
    );
    await (await this.#loaded).applyAuthentication(...request);
  }
}

/** What is constructed is an agent of the library. */
export class SocksProxyAgent {
  constructor(...options: unknown[]) {
    const library: { SocksProxyAgent: new (...options: unknown[]) => Agent } = requireOfLibrary('socks-proxy-agent');
    // biome-ignore lint/correctness/noConstructorReturn: as it cannot be loaded before.
    return new library.SocksProxyAgent(...options);
  }
}
