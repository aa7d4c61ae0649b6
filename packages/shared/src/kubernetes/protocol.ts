/** Protocols of Kubernetes ports. */
import type { Protocol } from '../model/service.ts';
import type { Fields } from './fields.ts';

/** TCP when absent; undefined, with a warning, when it is one that Kubernetes does not know. */
export function protocolOf(port: Fields, path: string, warn: (sentence: string) => void): Protocol | undefined {
  const protocol = port['protocol'] ?? 'TCP';
  if (protocol === 'TCP' || protocol === 'UDP' || protocol === 'SCTP') return protocol;
  warn(`${path} left out: protocol must be TCP, UDP or SCTP: current value is ${JSON.stringify(protocol)}`);
  return undefined;
}
