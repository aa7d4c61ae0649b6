/** Says once that an address is at a link-layer address, at an interface: `claim.ts ADDRESS MAC INDEX`. */
import { announcementsOf } from '@tombolo/node-agent/announce/l2/frames.ts';
import { SegmentSocket } from '@tombolo/node-agent/announce/l2/segment-socket.ts';
import { ip } from '@tombolo/shared/model/ip.ts';

const [address = '', mac = '', index = ''] = process.argv.slice(2);
const socket = new SegmentSocket();
for (const frame of announcementsOf(ip(address), mac)) socket.send(Number(index), frame);
socket.close();
