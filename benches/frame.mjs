// The frame of a benchmark: its directory, the servers that it starts, and the numbers that it tells.
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';

/** A directory that goes when this program ends, in whatever way. */
export function temporaryDirectory() {
  const directory = mkdtempSync(join(tmpdir(), 'deputy-bench-'));
  process.on('exit', () => rmSync(directory, { recursive: true }));
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));
  return directory;
}

const started = [];

/** Waits for a server that is being started, and gives it. */
export async function start(server) {
  started.push(await server);
  return started.at(-1);
}

/** Stops whatever was started, the last first. */
export async function stopAll() {
  for (const one of started.reverse()) await one.stop();
}

export const host = (url) => new URL(url).host;

export const machine = () => ({ cpu: cpus()[0].model, cpus: cpus().length, node: process.version });

export const round = (number, digits = 2) => Number(number.toFixed(digits));

export function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
