/**
 * A helper: says when a URL answers 200 for the first time, on the clock that all processes of a machine share.
 *
 *   {"url": "http://127.0.0.1:9879/readyz"} → {"at": 123456.789}
 */
import { Agent, get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { serve } from './helper.ts';

const EVERY_MS = 4;
const agent = new Agent({ keepAlive: false });

const answers = (url: string): Promise<boolean> =>
  new Promise((resolve) => {
    get(url, { agent }, (response) => resolve(response.resume().statusCode === 200)).on('error', () => resolve(false));
  });

await serve(async ({ url }: { readonly url: string }) => {
  while (!(await answers(url))) await sleep(EVERY_MS);
  return { at: Number(process.hrtime.bigint()) / 1e6 };
});
