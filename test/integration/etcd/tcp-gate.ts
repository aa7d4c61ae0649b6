/** A door in front of a TCP server that a test can slam: cut connections break at once and new ones are refused. */
import { connect, createServer, type Server, type Socket } from 'node:net';

export class TcpGate {
  #target: number;
  readonly #sockets = new Set<Socket>();
  /** By the ends near to us, those far from us, where somebody watches Kubernetes. */
  readonly #watches = new Map<Socket, Socket>();
  #server: Server | undefined;
  #port = 0;

  private constructor(target: number) {
    this.#target = target;
  }

  static async to(endpoint: string): Promise<TcpGate> {
    const gate = new TcpGate(Number(new URL(endpoint).port));
    await gate.open();
    return gate;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Lets connections through (again), by another target if one is given. */
  async open(target?: string): Promise<void> {
    if (target !== undefined) this.#target = Number(new URL(target).port);
    const server = createServer((near) => this.#join(near));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#port, '127.0.0.1', resolve);
    });
    const address = server.address();
    if (typeof address === 'object' && address) this.#port = address.port;
    this.#server = server;
  }

  async cut(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** Watches of Kubernetes under way stay open, and nothing is heard of them any more. */
  silenceWatches(): void {
    for (const [near, far] of this.#watches) far.unpipe(near);
  }

  #join(near: Socket): void {
    const far = connect(this.#target, '127.0.0.1');
    near.on('data', (chunk) => {
      if (chunk.includes('watch=true')) this.#watches.set(near, far);
    });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(one);
      one.setNoDelay(true);
      one.pipe(other);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        this.#sockets.delete(one);
        this.#watches.delete(one);
        other.destroy();
      });
    }
  }
}
