/** How to reach an etcd: what a clustermesh file or a program's flags say. Parsed and checked in `endpoint.ts`. */
export interface EtcdConfig {
  /** `http://host:port` or `https://host:port`; the port defaults to 2379. */
  readonly endpoints: readonly string[];
  readonly tls?: EtcdTls | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** Addresses to dial instead of asking DNS; certificates are still checked against the hostname. */
  readonly hostAliases?: readonly HostAlias[] | undefined;
}

/** Each is a file path, read again at each new connection, or the PEM content itself as a Buffer. */
export interface EtcdTls {
  /** When absent: the roots that Node brings along, and those of the system. */
  readonly ca?: string | Buffer | undefined;
  readonly cert?: string | Buffer | undefined;
  readonly key?: string | Buffer | undefined;
}

export interface HostAlias {
  readonly hostname: string;
  readonly ips: readonly string[];
}
