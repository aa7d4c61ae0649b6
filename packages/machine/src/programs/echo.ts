/**
 * The `echo` image: tells who it is (cluster/node/pod) to whoever asks, over HTTP (PORT, 8080), TCP and UDP (ECHO_PORT,
 * 9090).
 *
 *   GET /           the signature; GET /json: all of it, and who asked; `?delay=MS` answers later
 *   GET /readyz     200 or 503; POST /ready and POST /unready switch it
 *
 * After SIGTERM it serves on for DRAIN_MS (1000), as a pod must that is still in somebody's table, then finishes what
 * it has and ends.
 */
import { createSocket } from 'node:dgram';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { IDENTITY, SIGNATURE } from './identity.ts';

const HTTP_PORT = Number(process.env['PORT'] ?? 8080);
const ECHO_PORT = Number(process.env['ECHO_PORT'] ?? 9090);
const DRAIN_MS = Number(process.env['DRAIN_MS'] ?? 1000);
let ready = process.env['START_UNREADY'] === undefined;

interface Answer {
  readonly status: number;
  readonly text: string;
}

function answerTo({ method, socket }: IncomingMessage, path: string): Answer {
  switch (path) {
    case '/readyz':
      return { status: ready ? 200 : 503, text: ready ? 'ready' : 'not ready' };
    case '/ready':
    case '/unready':
      if (method !== 'POST') return { status: 405, text: 'Expected POST' };
      ready = path === '/ready';
      return { status: 200, text: `${IDENTITY.pod} is ${ready ? 'ready' : 'unready'} now` };
    case '/json': {
      const { remoteAddress: peer, remotePort: port } = socket;
      return { status: 200, text: JSON.stringify({ ...IDENTITY, peer, port }) };
    }
    default:
      return { status: 200, text: SIGNATURE };
  }
}

function serve(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://echo');
  const { status, text } = answerTo(request, url.pathname);
  const send = () => response.writeHead(status, { 'content-type': 'text/plain' }).end(`${text}\n`);
  const delay = Number(url.searchParams.get('delay') ?? 0);
  if (delay > 0) setTimeout(send, delay);
  else send();
}

const http = createServer(serve).listen(HTTP_PORT, '::');
const tcp = createTcpServer((socket) => {
  socket.on('error', () => {});
  socket.write(`${SIGNATURE}\n`);
  socket.pipe(socket);
}).listen(ECHO_PORT, '::');
const udp = createSocket('udp6').bind(ECHO_PORT, '::');
udp.on('message', (message, from) => udp.send(`${SIGNATURE}\n${message}`, from.port, from.address));

process.on('SIGTERM', () =>
  setTimeout(() => {
    http.close();
    http.closeIdleConnections();
    tcp.close();
    udp.close();
  }, DRAIN_MS),
);
