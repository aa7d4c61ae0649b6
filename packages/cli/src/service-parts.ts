/** Puts a Service together again that the agent had to send in several messages. */
import type { FrontendGroup, Service } from '@tombolo/proto/generated/tombolo-v1.ts';

/** The whole, or undefined while more is to come. One joiner serves one stream. */
export class ServiceJoiner {
  #parts: Service[] = [];

  add(part: Service): Service | undefined {
    this.#parts.push(part);
    if (part.moreBackends) return undefined;
    const parts = this.#parts;
    this.#parts = [];
    return parts.length === 1 ? part : join(part, parts);
  }
}

function join(last: Service, parts: readonly Service[]): Service {
  const groups = last.groups.map((group, i): FrontendGroup => {
    return { ...group, backends: parts.flatMap((part) => part.groups[i]?.backends ?? []) };
  });
  return { ...last, groups, unmatchedBackends: parts.flatMap((part) => part.unmatchedBackends) };
}
