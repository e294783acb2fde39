// Envoy is replaced by a new one, which takes over its sockets, while clients call: a hot restart.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PATIENCE } from '../envoy/support/client.mjs';
import { startTemporaryStack } from '../envoy/support/stack.mjs';
import { underFault } from './fault.mjs';

/** Within two seconds the old one asks its clients to connect anew, by its own arguments; by those of the new one it then ends. */
const TIMES = ['--drain-time-s', '2', '--parent-shutdown-time-s', '4'];

export async function restart({ times, seed }) {
  const directory = mkdtempSync(join(tmpdir(), 'deputy-restart-'));
  const base = join(directory, 'base-id');
  try {
    return await underFault({
      start: () => startTemporaryStack({ gateway: { hotRestart: ['--use-dynamic-base-id', '--base-id-path', base, ...TIMES] } }),
      seed,
      fault: async ({ stack, clients }) => {
        for (let epoch = 1; epoch <= times; epoch += 1) {
          const old = stack.replaceGateway(['--base-id', readFileSync(base, 'utf8'), '--restart-epoch', String(epoch), ...TIMES]);
          await Promise.race([old.exited, sleep(PATIENCE).then(() => { throw new Error('the old one does not end'); })]);
          await clients.servedAgain(performance.now());
        }
        return { times };
      },
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
}
