/** The bytes of one Service's entry as the model's value: quickly where they are as Go writes them, and strictly otherwise. */
import { ok, type Result } from '../model/result.ts';
import type { Origin, RemoteService } from '../model/service.ts';
import { CanonicalServices } from './canonical-service.ts';
import type { EntryExpectations, Expectations } from './expectations.ts';
import { remoteServiceFromWire } from './from-wire.ts';
import { decodeService } from './service.ts';

/** `known`: what was said of the Service before. */
export type RemoteServiceDecoder = (
  suffix: string,
  value: Buffer,
  origin: Origin,
  known?: RemoteService,
) => Result<RemoteService>;

/** Of one cluster. What it answers shares equal parts, also with what was known, and holds on to none of the bytes. */
export function remoteServiceDecoder(expectations: Expectations): RemoteServiceDecoder {
  const canonical = new CanonicalServices();
  return (suffix, value, origin, known) => {
    const expected: EntryExpectations = { ...expectations, suffix };
    const read = canonical.read(value, expected, origin, known?.backends);
    if (read) return ok(read);
    const wire = decodeService(value, expected);
    return wire.ok ? ok(remoteServiceFromWire(wire.value, origin)) : wire;
  };
}
