/** What `kubeconfig-library.ts` gives the library in place of all that only its API clients use. */

class NotLoaded {
  constructor() {
    throw new Error('Cannot make an API client of @kubernetes/client-node: only its kubeconfig is loaded');
  }
}

export {
  NotLoaded as Agent,
  NotLoaded as createConfiguration,
  NotLoaded as ProxyAgent,
  NotLoaded as ServerConfiguration,
  NotLoaded as SocksClient,
};
