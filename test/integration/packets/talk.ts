/** Clients that stay: so many streams, or senders of datagrams, which are asked again and again who answers them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Place, Rig } from '../nftables/rig.ts';

export class Talk {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  private constructor(child: ChildProcess, answers: AsyncIterator<string>) {
    this.#child = child;
    this.#answers = answers;
  }

  /** Rejects when not all streams are connected within three seconds. `firstPort`: theirs, one after the other. */
  static async begin(
    rig: Rig,
    place: Place,
    kind: 'tcp' | 'udp',
    target: string,
    count: number,
    firstPort = 0,
  ): Promise<Talk> {
    return Talk.beginBy(['ip', 'netns', 'exec', rig.netns(place)], kind, target, count, firstPort);
  }

  /** `way`: the command that leads to where they are. */
  static async beginBy(
    way: readonly string[],
    kind: 'tcp' | 'udp',
    target: string,
    count: number,
    firstPort = 0,
  ): Promise<Talk> {
    const script = kind === 'tcp' ? streams(target, count) : senders(target, count, firstPort);
    const [program = '', ...args] = [...way, process.execPath, '-e', script];
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const talk = new Talk(child, answers);
    const said = (await answers.next()).value;
    if (said === 'ready') return talk;
    talk.end();
    throw new Error(`Cannot begin to talk to ${target}: ${said}`);
  }

  /** Who answered each. */
  async ask(): Promise<readonly string[]> {
    this.#child.stdin?.write('ask\n');
    return ((await this.#answers.next()).value ?? '').split(' ');
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }
}

const parts = (target: string): readonly [string, string] => {
  const [, host = '', port = ''] = /^\[?([^\]]*?)\]?:(\d+)$/.exec(target) ?? [];
  return [host, port];
};

const streams = (target: string, count: number): string => {
  const [host, port] = parts(target);
  return `
  const sockets = Array.from({ length: ${count} }, () => require('node:net').connect(${port}, '${host}'));
  const patience = setTimeout(() => { console.log('silence'); process.exit(); }, 3000);
  for (const socket of sockets) socket.on('error', (error) => { console.log(error.code); process.exit(); });
  Promise.all(sockets.map((socket) => new Promise((done) => socket.once('connect', done)))).then(() => {
    clearTimeout(patience);
    console.log('ready');
    ${ASKED}
  });
  const ask = (socket) => new Promise((done) => {
    socket.once('data', (data) => done(String(data)));
    socket.write('?');
  });`;
};

const senders = (target: string, count: number, firstPort: number): string => {
  const [host, port] = parts(target);
  return `
  const sockets = Array.from({ length: ${count} }, () => require('node:dgram').createSocket('udp4'));
  Promise.all(sockets.map((socket, i) => new Promise((done) =>
    socket.bind(${firstPort} && ${firstPort} + i, () => socket.connect(${port}, '${host}', done))))).then(() => {
    console.log('ready');
    ${ASKED}
  });
  for (const socket of sockets) socket.on('error', () => {});
  const ask = (socket) => new Promise((done) => {
    const again = setInterval(() => socket.send('?'), 1000);
    socket.once('message', (data) => { clearInterval(again); done(String(data[0])); });
    socket.send('?');
  });`;
};

/** All at once; silence is an answer, too. */
const ASKED = `require('node:readline').createInterface({ input: process.stdin }).on('line', async () => {
      const silence = () => new Promise((done) => setTimeout(done, 4000, 'silence'));
      const answers = await Promise.all(sockets.map((socket) => Promise.race([ask(socket), silence()])));
      console.log(answers.join(' '));
    });`;

/** A server that answers each byte with its number, on and on; says `ready`. */
export const echoes = (target: string, number: number): string => echoesAll([target], number);

/** The same for several, with numbers in a row. */
export const echoesAll = (targets: readonly string[], first = 1): string => `
  const targets = ${JSON.stringify(targets)};
  Promise.all(targets.map((target, i) => new Promise((done) => {
    const [host, port] = target.split(':');
    require('node:net').createServer((socket) => {
      socket.on('data', () => socket.write(String(${first} + i)));
      socket.on('error', () => {});
    }).listen(Number(port), host, done);
  }))).then(() => console.log('ready'));`;
