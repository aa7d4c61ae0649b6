/** What went wrong with a call to an agent, as one sentence that says what was tried and what to check. Pure. */
import { status } from '@grpc/grpc-js';
import { type ApiAddress, DEFAULT_ADDRESS, formatApiAddress } from '@tombolo/proto/address.ts';

/** `refused`: the agent answered, with an error. */
export type AgentErrorKind = 'unreachable' | 'not-found' | 'refused';

export class AgentError extends Error {
  readonly kind: AgentErrorKind;

  constructor(kind: AgentErrorKind, message: string, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
  }
}

export interface GrpcFailure {
  readonly code: number;
  readonly details: string;
}

export function agentError(address: ApiAddress, failure: GrpcFailure, timeoutMs: number): AgentError {
  switch (failure.code) {
    case status.UNAVAILABLE:
    case status.DEADLINE_EXCEEDED:
      return new AgentError('unreachable', describeUnreachable(address, failure, timeoutMs), failure);
    case status.NOT_FOUND:
      return new AgentError('not-found', failure.details, failure);
    case status.UNIMPLEMENTED:
      return new AgentError('refused', `What answers at ${formatApiAddress(address)} is not a Tombolo agent`, failure);
    default:
      return new AgentError('refused', `The agent at ${formatApiAddress(address)} says: ${failure.details}`, failure);
  }
}

function describeUnreachable(address: ApiAddress, { code, details }: GrpcFailure, timeoutMs: number): string {
  const where = formatApiAddress(address);
  if (code === status.DEADLINE_EXCEEDED) {
    return `The agent at ${where} did not answer within ${timeoutMs / 1000} s: try a longer --timeout`;
  }
  if (/shutting down|connection dropped/i.test(details)) return `The agent at ${where} went away: it stops or restarts`;
  return `Cannot reach the agent at ${where}: ${whatToCheck(address, details)}`;
}

function whatToCheck(address: ApiAddress, details: string): string {
  const elsewhere = otherAddress(address);
  if (details.includes('ENOENT')) return `there is no such socket; is the agent running on this node? ${elsewhere}`;
  if (details.includes('EACCES'))
    return 'permission denied; run this as root, or as a member of the group that owns the socket';
  if (details.includes('ECONNREFUSED')) return `nothing listens there; is the agent running? ${elsewhere}`;
  if (details.includes('ENOTFOUND')) return `this host name is not known; ${elsewhere}`;
  return `${details.replace(/\.+$/, '')}; is the agent running? ${elsewhere}`;
}

const otherAddress = (address: ApiAddress): string =>
  formatApiAddress(address) === DEFAULT_ADDRESS
    ? 'Give another address with --address or TOMBOLO_ADDRESS'
    : 'Check --address and TOMBOLO_ADDRESS';
