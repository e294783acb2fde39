// The virtual machine of the filter traps, again and again, in a build of its own that does so on demand.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEPUTY_WASM } from '../../demo/gateway.mjs';
import { until } from '../../demo/process.mjs';
import { call, toolCall } from '../envoy/support/client.mjs';
import { envoyLog } from '../envoy/support/records.mjs';
import { startScriptedStack } from '../envoy/support/scripted-authorization-server.mjs';
import { inboundToken } from '../envoy/support/tokens.mjs';
import { writeTrappingWasm } from '../envoy/support/trapping-wasm.mjs';
import { underFault } from './fault.mjs';

/** In seconds, the route's `idle_timeout`: what else ends a request that the virtual machine took with it. The bootstrap's is an hour. */
const IDLE = 2;
/** Its answer soon is longer than the build bears, by what the clients do. */
const LONG = toolCall('getAuditLog', { limit: 100 });

export async function trap({ seconds, seed }) {
  const directory = mkdtempSync(join(tmpdir(), 'deputy-trap-'));
  const wasm = join(directory, 'trapping.wasm');
  writeTrappingWasm(DEPUTY_WASM, wasm);
  let scripted;
  const start = async () => {
    const gateway = {
      set: { 'envoy.wasm': wasm },
      edit: { 'envoy.yaml': (text) => {
        const route = /(timeout: 0s\n +idle_timeout: )3600s/;
        assert.match(text, route);
        return text.replace(route, `$1${IDLE}s`);
      } },
    };
    const started = await startScriptedStack({ gateway });
    ({ scripted } = started);
    return started.stack;
  };
  const fault = async ({ stack, clients }) => {
    const { token } = inboundToken(stack);
    const traps = () => [...envoyLog(stack).matchAll(/proxy_on_response_body failed/g)].length;
    const outages = [];
    const end = performance.now() + seconds * 1000;
    do {
      // Some wait for an exchange when it happens.
      const { promise: released, resolve: release } = Promise.withResolvers();
      let waiting = 0;
      scripted.script = async (request, response, body) => {
        if (!body.includes(token)) {
          waiting += 1;
          await released;
        }
        await scripted.passOn(request, response, body);
      };
      await until(() => waiting > 0, 'an exchange under way');
      const [before, from] = [traps(), performance.now()];
      await until(async () => {
        await call(stack, token, LONG).catch(() => {});
        return traps() > before;
      }, 'a trap');
      scripted.script = scripted.passOn;
      release();
      outages.push(await clients.servedAgain(from));
      await sleep(500);
    } while (performance.now() < end);
    return { times: traps(), outage_ms: Math.round(Math.max(...outages)) };
  };
  try {
    return await underFault({ start, seed, fault, own: 'getAuditLog', forgetful: true, kinds: ['no filter', 'aborted'], patience: IDLE + 8 });
  } finally {
    rmSync(directory, { recursive: true });
  }
}
