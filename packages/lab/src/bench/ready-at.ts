/**
 * A helper: says when something answers for the first time, on the clock that all processes of a machine share.
 *
 *   {"url": "http://127.0.0.1:9879/readyz"} → {"at": ms}      answers 200
 *   {"host": "10.96.0.10", "port": 80} → {"at": ms}           takes a connection
 */
import { Agent, get } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { serve } from './helper.ts';

type Question = { readonly url: string } | { readonly host: string; readonly port: number };

const EVERY_MS = 4;
/** For a connection: what goes to a Service that nobody serves yet is lost. */
const PATIENCE_MS = 20;
const agent = new Agent({ keepAlive: false });

const answers = (url: string): Promise<boolean> =>
  new Promise((resolve) => {
    get(url, { agent }, (response) => resolve(response.resume().statusCode === 200)).on('error', () => resolve(false));
  });

const connects = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const end = (connected: boolean): void => {
      socket.destroy();
      resolve(connected);
    };
    const socket = connect({ host, port }, () => end(true))
      .setTimeout(PATIENCE_MS, () => end(false))
      .on('error', () => end(false));
  });

await serve(async (question: Question) => {
  const there = () => ('url' in question ? answers(question.url) : connects(question.host, question.port));
  while (!(await there())) await sleep(EVERY_MS);
  return { at: Number(process.hrtime.bigint()) / 1e6 };
});
