import { everyClientAndFrontend } from './matrix.ts';

everyClientAndFrontend({
  name: 'e2ematrix',
  ways: [
    { title: 'eBPF at sockets and interfaces', agent: { datapath: 'ebpf' } },
    {
      title: 'eBPF at interfaces for all but the nodes themselves',
      agent: { datapath: 'ebpf', more: () => ['--socket-clients', 'host', '--packets', 'ebpf'] },
    },
    { title: 'nftables', agent: { datapath: 'nftables' } },
  ],
});
