/** One request to an `echo` pod over HTTP, TCP or UDP, on a connection of its own; resolves with who answered. */
import { createSocket } from 'node:dgram';
import { get } from 'node:http';
import { connect, isIPv6 } from 'node:net';

export function ask(url: URL, timeoutMs: number): Promise<string> {
  switch (url.protocol) {
    case 'http:':
      return askHttp(url, timeoutMs);
    case 'tcp:':
      return askTcp(hostOf(url), Number(url.port), timeoutMs);
    case 'udp:':
      return askUdp(hostOf(url), Number(url.port), timeoutMs);
    default:
      return Promise.reject(new Error(`Cannot ask ${url}: expected http:, tcp: or udp:`));
  }
}

const hostOf = (url: URL): string => url.hostname.replace(/^\[|\]$/g, '');

function askHttp(url: URL, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent: false, timeout: timeoutMs }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.once('error', reject);
      response.once('end', () =>
        response.statusCode === 200 ? resolve(text.trim()) : reject(new Error(`HTTP ${response.statusCode}`)),
      );
    });
    request.once('timeout', () => request.destroy(new Error('timeout')));
    request.once('error', reject);
  });
}

function askTcp(host: string, port: number, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, timeout: timeoutMs });
    socket.once('timeout', () => socket.destroy(new Error('timeout')));
    socket.once('error', reject);
    socket.once('data', (data) => {
      resolve(firstLine(data));
      socket.destroy();
    });
    socket.once('close', () => reject(new Error('closed without an answer')));
  });
}

function askUdp(host: string, port: number, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    const finish = (error?: Error, answer = ''): void => {
      clearTimeout(timer);
      socket.close();
      if (error) reject(error);
      else resolve(answer);
    };
    const timer = setTimeout(() => finish(new Error('timeout')), timeoutMs);
    socket.once('error', (error) => finish(error));
    socket.once('message', (message) => finish(undefined, firstLine(message)));
    socket.send('?', port, host);
  });
}

const firstLine = (data: Buffer): string => data.toString().split('\n')[0] ?? '';
