import { everyClientAndFrontend } from './matrix.ts';

everyClientAndFrontend({
  name: 'e2ematrixipt',
  ways: [{ title: 'eBPF, beside kube-proxy in iptables mode', agent: { datapath: 'ebpf' } }],
  proxyMode: 'iptables',
});
