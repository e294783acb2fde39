// The MCP server is killed, stopped and goes on, or comes and goes.
import { setTimeout as sleep } from 'node:timers/promises';
import { random } from '../envoy/support/garbage.mjs';
import { startTemporaryStack } from '../envoy/support/stack.mjs';
import { underFault } from './fault.mjs';

/** Each gives back a server that is well. */
const FAULTS = {
  async killed(stack, lasts) {
    process.kill(stack.pids.ledger, 'SIGKILL');
    await stack.stopLedger();
    await sleep(lasts);
    await stack.startLedger();
  },
  async stopped(stack, lasts) {
    process.kill(stack.pids.ledger, 'SIGSTOP');
    await sleep(lasts);
    process.kill(stack.pids.ledger, 'SIGCONT');
  },
  async slow(stack, lasts) {
    for (const end = performance.now() + lasts; performance.now() < end;) {
      process.kill(stack.pids.ledger, 'SIGSTOP');
      await sleep(100);
      process.kill(stack.pids.ledger, 'SIGCONT');
      await sleep(20);
    }
  },
  async flapping(stack, lasts) {
    for (const end = performance.now() + lasts; performance.now() < end;) {
      await stack.stopLedger();
      await stack.startLedger();
    }
  },
};

export const upstream = ({ seconds, seed }) => underFault({
  start: () => startTemporaryStack(),
  seed,
  // What waits for a server that is stopped may have a token that ends meanwhile.
  kinds: ['no server', 'delegation too late'],
  fault: async ({ stack, clients }) => {
    const source = random(seed);
    const recoveries = {};
    const end = performance.now() + seconds * 1000;
    do {
      for (const [name, fault] of Object.entries(FAULTS)) {
        await fault(stack, Math.min(1000, seconds * 100) + source.below(500));
        recoveries[name] = Math.max(recoveries[name] ?? 0, Math.round(await clients.servedAgain(performance.now())));
      }
    } while (performance.now() < end);
    return { recoveries_ms: recoveries };
  },
});
