/** A process that programs one service and waits to be killed: `agent.ts PIN-DIR CGROUP FRONTEND BACKEND...`. */
import { openEbpfDatapath } from '@tombolo/node-agent/datapath/ebpf/open.ts';
import { only, route } from './routes.ts';

const [pinDir = '', cgroupRoot = '', frontend = '', ...backends] = process.argv.slice(2);
const datapath = await openEbpfDatapath({ pinDir, cgroupRoot });
await datapath.replace(only(route(frontend, backends)));
process.stdout.write('ready\n');
setInterval(() => {}, 1000);
