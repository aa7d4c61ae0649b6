/** Where a control plane is and how it is reached. Plain data. */
export interface ControlPlanePlan {
  readonly cluster: string;
  /** Absent: the machine's own, which is fit for loopback addresses only. */
  readonly netns?: string;
  /** Control group of the control plane; each program has one below. */
  readonly cgroup: string;
  /** For certificates, data and logs; made when missing. */
  readonly directory: string;
  /** Where the API server listens, and what it calls itself; more addresses of its certificate. */
  readonly address: string;
  readonly alsoKnownAs?: readonly string[];
  readonly port: number;
  readonly etcdPorts: { readonly client: number; readonly peer: number };
  /** One for each family, the first is the primary one. */
  readonly serviceCidrs: readonly string[];
  /** More arguments for the API server; the last of two equal flags counts. */
  readonly apiserverFlags?: readonly string[];
  readonly controllerFlags?: readonly string[];
}

export const serverUrl = ({ address, port }: ControlPlanePlan): string =>
  `https://${address.includes(':') ? `[${address}]` : address}:${port}`;
