/**
 * The value of heartbeats and canaries: a time in RFC 3339 with whole seconds, as Go prints it in UTC. No reader looks at
 * it; only the event counts.
 */
export const encodeTimestamp = (ms: number): string => new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');
