import { everyClientAndFrontend } from './matrix.ts';

everyClientAndFrontend({
  name: 'e2ematrixnft',
  ways: [{ title: 'nftables, beside kube-proxy in nftables mode', agent: { datapath: 'nftables' } }],
  proxyMode: 'nftables',
});
