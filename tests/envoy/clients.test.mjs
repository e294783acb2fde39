// What a model reads of each answer, by client: the table in docs/clients.md, measured. The tokens are static, so nobody
// steps up or signs in again; tests/envoy/calls.test.mjs has those who do.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { root } from '../../demo/keys.mjs';
import { CLIENTS } from './support/static-clients.mjs';
import { startTarget } from './support/target.mjs';
import { inSeconds } from './support/tokens.mjs';

const ALLOWED = ['listAccounts', {}];
const PII = ['getCustomerPII', { customerId: 'CUST-001' }];
const SENTENCE = 'Access denied: PII access requires pii:read scope.';
const HIDDEN = 'Access denied: no rule allows the tool getCustomerPII.';

/** What ended the session, where the model reads nothing. */
const ended = (by) => ({ by });

/**
 * What is read by a caller who lacks a scope, under each `denial`, and by one whose token is not accepted. mcp-remote answers
 * a challenge by opening a browser, whatever header it was given, so no test challenges it.
 */
const REACTIONS = {
  'TypeScript 1.32': {
    step_up: SENTENCE, error: SENTENCE, forbidden: SENTENCE, hidden: HIDDEN, unauthorized: ended('The access token is not accepted.'),
  },
  'TypeScript 2.4': {
    step_up: 'Insufficient scope: required "mcp:connect pii:read"', error: SENTENCE, forbidden: SENTENCE, hidden: HIDDEN,
    unauthorized: ended('the server requires authorization (HTTP 401)'),
  },
  'Python 1.30': {
    step_up: ended('403 Forbidden'), error: SENTENCE, forbidden: ended('403 Forbidden'), hidden: HIDDEN, unauthorized: ended('401 Unauthorized'),
  },
  'Python 2.3': {
    step_up: SENTENCE, error: SENTENCE, forbidden: SENTENCE, hidden: HIDDEN, unauthorized: ended('The access token is not accepted.'),
  },
  'rmcp 3.9': {
    step_up: 'Insufficient scope', error: SENTENCE, forbidden: SENTENCE, hidden: HIDDEN, unauthorized: ended('Auth required'),
  },
  'mcp-remote 0.15': { error: SENTENCE, forbidden: SENTENCE, hidden: HIDDEN },
};

for (const denial of ['step_up', 'error', 'forbidden', 'hidden']) {
  describe(`getCustomerPII with denial: ${denial}`, () => {
    const config = mkdtempSync(join(tmpdir(), 'deputy-clients-'));
    let target;
    let make;
    before(async () => {
      deny(config, denial);
      target = await startTarget({ gateway: { config: join(config, 'deputy.yaml') } });
      make = (name, calls, token = target.mint.token()) => CLIENTS[name](target.stack.gatewayUrl, token, calls);
    });
    after(async () => {
      await target?.stop();
      rmSync(config, { recursive: true });
    });

    for (const [name, { [denial]: reaction, unauthorized }] of Object.entries(REACTIONS)) {
      if (reaction) {
        test(`${name}: without the scope, ${told(reaction)}`, async () => assertRead(await make(name, [PII, ALLOWED]), reaction));
      }
      if (denial !== 'step_up') continue; // it makes no difference to the rest

      test(`${name}: a call that a rule allows is answered`, async () => {
        assertRead(await make(name, [ALLOWED, ALLOWED]), 'ACC-1001');
      });

      test(`${name}: of a tool that no rule names, the model reads so, and the session lives`, async () => {
        assertRead(await make(name, [['dropAllAccounts', {}], ALLOWED]), 'Access denied: no rule allows the tool dropAllAccounts.');
      });

      if (unauthorized) {
        test(`${name}: with a token that is not accepted, there is no session`, async () => {
          assertRead(await make(name, [ALLOWED], target.mint.token({ exp: inSeconds(-600) })), unauthorized);
        });
      }
    }
  });
}

/** Either the first call's reading holds `expected` and the allowed call after it is answered, or nothing was read at all. */
function assertRead({ read, ended: end }, expected) {
  if (expected.by) {
    assert.deepEqual(read, []);
    assert.ok(end.includes(expected.by), end);
  } else {
    assert.equal(read.length, 2, end);
    assert.ok(read[0].includes(expected), read[0]);
    assert.ok(read[1].includes('ACC-1001'), read[1]);
  }
}

function told(reaction) {
  return reaction.by ? `the session ends: ${reaction.by}` : `the model reads: ${reaction}`;
}

/** A configuration in `directory` as the demo's, but that getCustomerPII is denied in this form. */
function deny(directory, denial) {
  cpSync(join(root, 'deputy.yaml'), join(directory, 'deputy.yaml'));
  cpSync(join(root, 'policies'), join(directory, 'policies'), { recursive: true });
  const policy = join(directory, 'policies/enterprise-ledger.yaml');
  writeFileSync(policy, readFileSync(policy, 'utf8').replace('  getCustomerPII:\n', `$&    denial: ${denial}\n`));
}
