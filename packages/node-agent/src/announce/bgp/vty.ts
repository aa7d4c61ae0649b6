/**
 * A session with one of FRR's daemons, over the socket that vtysh uses (lib/vty.c): a command ends with a NUL; its answer with
 * three of them and a byte that is 0 where all went well.
 */
import { connect, type Socket } from 'node:net';

export interface Answer {
  readonly text: string;
  /** 0, or one of FRR's CMD_…: 1 is a warning. */
  readonly code: number;
}

const PATIENCE_MS = 5_000;
const END = Buffer.from([0, 0, 0]);

export class Vty {
  readonly #socket: Socket;
  #heard = Buffer.alloc(0);
  /** Asked, and not answered yet. */
  readonly #waiting: { readonly resolve: (answer: Answer) => void; readonly reject: (error: Error) => void }[] = [];
  #failure: Error | undefined;

  /** Rejects where nobody listens. */
  static async open(path: string): Promise<Vty> {
    const socket = connect({ path });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', (cause: NodeJS.ErrnoException) => reject(new Error(`${path}: ${cause.code}`, { cause })));
    });
    const vty = new Vty(socket, path);
    await vty.ask('enable');
    return vty;
  }

  private constructor(socket: Socket, path: string) {
    this.#socket = socket;
    socket.setTimeout(PATIENCE_MS, () => this.#fail(new Error(`${path}: no answer`)));
    socket.on('data', (part) => this.#hear(part));
    socket.on('error', (cause: NodeJS.ErrnoException) => this.#fail(new Error(`${path}: ${cause.code}`, { cause })));
    socket.on('close', () => this.#fail(new Error(`${path}: it ended`)));
  }

  /** Need not be waited for before the next. */
  ask(command: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#failure) {
        reject(this.#failure);
        return;
      }
      this.#waiting.push({ resolve, reject });
      this.#socket.write(`${command}\0`);
    });
  }

  close(): void {
    this.#failure ??= new Error('closed');
    this.#socket.destroy();
  }

  #hear(part: Buffer): void {
    this.#heard = Buffer.concat([this.#heard, part]);
    for (;;) {
      const end = this.#heard.indexOf(END);
      if (end < 0 || end + END.length >= this.#heard.length) return;
      const answer = { text: this.#heard.toString('utf8', 0, end), code: this.#heard[end + END.length] ?? 0 };
      this.#heard = this.#heard.subarray(end + END.length + 1);
      this.#waiting.shift()?.resolve(answer);
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
    this.#socket.destroy();
  }
}
