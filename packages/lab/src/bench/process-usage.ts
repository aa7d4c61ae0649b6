/** What a process has used so far, from /proc: CPU time and resident memory. */
import { readFileSync } from 'node:fs';

/** The kernel's USER_HZ, the same on every architecture that we run on. */
const TICKS_PER_SECOND = 100;

/** Ms of CPU in /proc/PID/stat: its own, and that of its children that have ended and were waited for. */
export function cpuMsIn(stat: string): number {
  // The second field is the program's name in brackets, and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = fields.slice(11, 15).map(Number); // utime, stime, cutime, cstime
  return (ticks.reduce((sum, each) => sum + each, 0) * 1000) / TICKS_PER_SECOND;
}

/** Bytes in /proc/PID/status: resident now, or at the most so far. */
export function residentIn(status: string, field: 'VmRSS' | 'VmHWM'): number {
  return Number(new RegExp(`^${field}:\\s*(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) * 1024;
}

export const cpuMs = (pid: number): number => cpuMsIn(readFileSync(`/proc/${pid}/stat`, 'utf8'));

export const resident = (pid: number, field: 'VmRSS' | 'VmHWM' = 'VmRSS'): number =>
  residentIn(readFileSync(`/proc/${pid}/status`, 'utf8'), field);

export const megabytes = (bytes: number): number => bytes / 1e6;
