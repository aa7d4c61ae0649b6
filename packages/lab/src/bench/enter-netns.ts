/**
 * Does something synchronous inside a network namespace: sockets that it opens belong there for good. Nothing else of
 * this process runs meanwhile, and other threads stay where they are.
 */
import { closeSync, openSync } from 'node:fs';
import koffi from 'koffi';

const CLONE_NEWNET = 0x40000000;

export function enterNetns<T>(name: string, body: () => T): T {
  const setns = koffi.load('libc.so.6').func('int setns(int fd, int nstype)');
  const home = openSync('/proc/thread-self/ns/net', 'r');
  const there = openSync(`/run/netns/${name}`, 'r');
  try {
    if (setns(there, CLONE_NEWNET) !== 0)
      throw new Error(`Cannot enter network namespace ${name}: errno is ${koffi.errno()}`);
    try {
      return body();
    } finally {
      // To go on in the wrong namespace could send packets where they must never go.
      if (setns(home, CLONE_NEWNET) !== 0) process.abort();
    }
  } finally {
    closeSync(there);
    closeSync(home);
  }
}
