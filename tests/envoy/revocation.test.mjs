// The kill switch: a revocation is pushed to a gateway at work, and the very next request is refused.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { JOHN, SARAH } from '../../demo/people.mjs';
import { until } from '../../demo/process.mjs';
import { call, LIST_ACCOUNTS, load } from './support/client.mjs';
import { auditOf } from './support/records.mjs';
import { startTemporaryStack } from './support/stack.mjs';
import { fingerprint, inboundToken } from './support/tokens.mjs';

const ago = (seconds) => Math.floor(Date.now() / 1000) - seconds;
const moment = (seconds) => new Date(seconds * 1000).toISOString();

describe('deputy push of a revocation', () => {
  let stack;
  let bystander;
  before(async () => {
    stack = await startTemporaryStack();
    bystander = inboundToken(stack, { sid: 'session-of-the-bystander' });
  });
  after(() => stack?.stop());

  /** Ends when every worker judges by it. `lists` are those of `revoked`, `{ id, issued_before }` each. */
  async function revoke(lists) {
    const set = Object.entries(lists).map(([kind, entries]) => [
      `revoked.${kind}`, JSON.stringify(entries.map((entry) => ({ issuer: stack.authorizationServerUrl, ...entry }))),
    ]);
    const { code, stderr } = await stack.push({ set: Object.fromEntries(set) });
    assert.equal(code, 0, stderr);
  }

  /** As many at once as reach more than one worker. */
  const statusesOf = async (client) => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => call(stack, client.token, LIST_ACCOUNTS)));
    return [...new Set(answers.map(({ status }) => status))];
  };

  const revocations = {
    'of a token': [{}, ({ id }) => ({ tokens: [{ id }] })],
    'of a user': [{ sub: JOHN.user }, () => ({ subjects: [{ id: JOHN.user }] })],
    'of a client': [{ client_id: 'stolen-laptop' }, () => ({ clients: [{ id: 'stolen-laptop' }] })],
    'of a session': [{ sid: 'session-1' }, () => ({ sessions: [{ id: 'session-1' }] })],
    'of who acts for a user': [{ act: { sub: 'rogue-agent' } }, () => ({ subjects: [{ id: 'rogue-agent' }] })],
  };
  for (const [what, [claims, lists]] of Object.entries(revocations)) {
    test(`K33: ${what} refuses the next request, whatever was cached, and leaves the others alone`, async () => {
      const victim = inboundToken(stack, claims);
      // Verified and delegated in every worker.
      const calls = [load(stack, [victim, victim], LIST_ACCOUNTS), load(stack, [bystander, bystander], LIST_ACCOUNTS)];
      await until(() => calls.every(({ answers }) => answers.length > 10), 'calls');
      await revoke(lists(victim));
      assert.deepEqual(await statusesOf(victim), [401]);
      assert.deepEqual(await statusesOf(bystander), [200]);
      const [refused, served] = await Promise.all(calls.map((one) => one.stop()));
      assert.deepEqual([...new Set(refused.map(({ status }) => status))], [200, 401]);
      assert.deepEqual([...new Set(served.map(({ status }) => status))], [200]);
      const challenge = refused.at(-1).headers['www-authenticate'];
      assert.match(challenge, /^Bearer error="invalid_token", scope="mcp:connect", resource_metadata="/);
      assert.equal((await auditOf(stack, fingerprint(victim.token), 8)).every(({ reason, decision }) => reason === 'revoked' && decision === 'refuse'), true);
      await revoke({});
      assert.deepEqual(await statusesOf(victim), [200], 'the revocation is taken back');
    });
  }

  test('until a moment lets in who signs in again', async () => {
    const old = inboundToken(stack, { iat: ago(60) });
    assert.deepEqual(await statusesOf(old), [200]);
    await revoke({ subjects: [{ id: SARAH.user, issued_before: moment(ago(30)) }] });
    assert.deepEqual(await statusesOf(old), [401]);
    assert.deepEqual(await statusesOf(inboundToken(stack)), [200]);
    await revoke({});
  });

  test('at an issuer that is not known is refused before it is written', async () => {
    const { code, stderr } = await stack.push({ set: { 'revoked.tokens': '[{issuer: "https://login.example", id: "1"}]' } });
    assert.equal(code, 2);
    assert.match(stderr, /revoked\.tokens\[0\]\.issuer: unknown issuer `https:\/\/login\.example`/);
    assert.deepEqual(await statusesOf(bystander), [200]);
  });
});
