// `deputy exchange` asks the very authorization server that Envoy asks, and sees what the filter would see.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startTemporaryStack } from './support/stack.mjs';
import { inboundToken } from './support/tokens.mjs';

let stack;
let held;
before(async () => {
  stack = await startTemporaryStack();
  const { token } = inboundToken(stack);
  held = { token, file: join(stack.directory, 'caller.jwt') };
  writeFileSync(held.file, token, { mode: 0o600 });
});
after(() => stack?.stop());

const exchange = (tool, ...options) => stack.command(['exchange', '--token', held.file, '--tool', tool, '--format', 'json', ...options]);

test('every check passes on what the server grants, and nothing secret is shown', async () => {
  const { code, stdout, stderr } = await exchange('listAccounts', '--send', '--sds-file', stack.keys.gatewaySecret);
  assert.equal(code, 0, stderr);
  const { reply } = JSON.parse(stdout);
  const named = (wanted) => reply.checks.filter(({ result }) => result === wanted).map(({ check }) => check);
  assert.ok(named('pass').includes('the token verifies'));
  assert.deepEqual(reply.checks.length - named('pass').length, named('not_made').length, 'none fails');
  const [asked, ...more] = stack.exchanges();
  assert.equal(more.length, 0);
  assert.equal(asked.scope, 'ledger:ListAccounts');
  const basic = /Basic ([A-Za-z0-9+/=]+)/.exec(readFileSync(stack.keys.gatewaySecret, 'utf8'))[1];
  for (const secret of [held.token, basic, atob(basic).split(':')[1]]) assert.ok(!(stdout + stderr).includes(secret));
});

test('without Envoy\'s credentials the server accepts no gateway', async () => {
  const { code, stdout } = await exchange('listAccounts', '--send');
  assert.notEqual(code, 0);
  const { reply } = JSON.parse(stdout);
  assert.deepEqual(reply.checks.filter(({ result }) => result === 'fail').map(({ check }) => check), ['it grants a token']);
});

test('what the policy does not allow is not asked for', async () => {
  const before = stack.tokenRequests().length;
  const { code } = await exchange('noSuchTool', '--send', '--sds-file', stack.keys.gatewaySecret);
  assert.notEqual(code, 0);
  assert.equal(stack.tokenRequests().length, before);
});
