// How tests start a stack: in a directory of its own, with its own keys, both gone when it stops.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../../../demo/keys.mjs';
import { startStack } from '../../../demo/stack.mjs';

const SESSIONS = { set: { sessions: '{keys_from_environment: [DEPUTY_SESSION_KEY]}' }, env: { DEPUTY_SESSION_KEY: 'k'.repeat(44) } };

/** `sessions` binds sessions; `policy` changes the text of the ledger's policy; all else is startStack's. */
export async function startTemporaryStack({ sessions = false, policy, gateway = {}, ...options } = {}) {
  const state = mkdtempSync(join(tmpdir(), 'deputy-test-'));
  const remove = () => rmSync(state, { recursive: true, force: true });
  try {
    const set = { ...sessions && SESSIONS.set, ...policy && { policies: writePolicies(state, policy) }, ...gateway.set };
    const env = { ...sessions && SESSIONS.env, ...gateway.env };
    const stack = await startStack({ state, gateway: gateway && { ...gateway, set, env }, ...options });
    const stop = stack.stop.bind(stack);
    stack.stop = async () => { await stop(); remove(); };
    return stack;
  } catch (error) {
    remove();
    throw error;
  }
}

function writePolicies(state, change) {
  const policies = join(state, 'policies');
  cpSync(join(root, 'policies'), policies, { recursive: true });
  const file = join(policies, 'enterprise-ledger.yaml');
  writeFileSync(file, change(readFileSync(file, 'utf8')));
  return policies;
}

/** For a gateway's `edit`: what is pushed to the filter, changed in place by `change`. */
export const pushing = (change) => ({
  'filter.yaml': (yaml) => yaml.replace(/value: \|\n([^]*)/, (_, text) => {
    const pushed = JSON.parse(text);
    return `value: ${JSON.stringify(change(pushed) ?? JSON.stringify(pushed))}\n`;
  }),
});
