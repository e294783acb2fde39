// A hundred configurations, good and bad in turn, while clients call.
import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../demo/keys.mjs';
import { startTemporaryStack } from '../envoy/support/stack.mjs';
import { underFault } from './fault.mjs';

const [LIST, VIEW] = ['ledger:ListTransactions', 'ledger:ViewTransactions'];

/** What Envoy must refuse: a secret that is not there, what is no configuration, and nothing. */
const BAD = [
  { set: { 'sessions.keys_from_environment': '[DEPUTY_NO_SUCH_KEY]' } },
  { edit: { 'filter.yaml': (text) => text.replace('"endpoints"', '"endpoint"') } },
  { edit: { 'filter.yaml': (text) => text.replace(/value: .*/s, 'value: ""\n') } },
];

export const pushes = ({ count, seed }) => underFault({
  start: () => startTemporaryStack(),
  seed,
  fault: async ({ stack, clients }) => {
    const policies = join(stack.state, 'policies');
    const seen = { accepted: 0, rejected: 0 };
    for (let nth = 0; nth < count; nth += 1) {
      const isGood = nth % 2 === 0;
      if (isGood) {
        cpSync(join(root, 'policies'), policies, { recursive: true });
        const file = join(policies, 'enterprise-ledger.yaml');
        if (nth % 4 === 0) writeFileSync(file, readFileSync(file, 'utf8').replace(LIST, VIEW));
      }
      const became = await stack.reconfigure(isGood ? { set: { policies } } : { ...BAD[(nth >> 1) % BAD.length] });
      assert.equal(became, isGood ? 'accepted' : 'rejected', `push ${nth}`);
      seen[became] += 1;
      const from = clients.answers.length;
      while (clients.answers.length < from + 10) await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return seen;
  },
  check: ({ records }) => {
    // Each is judged by one policy whole: its hash, and what is delegated under it, go together.
    const scopes = {};
    for (const { tool, delegation, policy_hash: hash } of records) {
      if (tool === 'getTransactions') (scopes[hash] ??= new Set()).add(delegation.scope);
    }
    assert.deepEqual(Object.values(scopes).map((of) => [...of].join()).sort(), [LIST, VIEW]);
  },
});
