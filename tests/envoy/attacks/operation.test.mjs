// Rows L and F: what an operator sees, and what happens when something fails. L01, L02 and L05 are in ../audit.test.mjs and
// ../tokens.test.mjs, F01 in trap.test.mjs, F03 in ../keys.test.mjs.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { toolCall } from '../support/client.mjs';
import { each } from '../support/tables.mjs';
import { startTarget } from '../support/target.mjs';

const RULES = 10_000;
/** Rules whose patterns would take a backtracking engine for ever, and very many others. */
const POLICY = (text) => text.replace(/^tools:\n/m, (line) => `${line}${[
  "  repeat:\n    require: {arguments: {text: {matches: '(a+)+'}}}\n    delegation: {scope: 'ledger:ListAccounts'}\n",
  "  alternate:\n    require: {arguments: {text: {matches: '(a|a)*b|(.*a){12}'}}}\n    delegation: {scope: 'ledger:ListAccounts'}\n",
  ...Array.from({ length: RULES }, (_, index) => `  tool${index}: {delegation: {scope: 'ledger:ListAccounts'}}\n`),
].join('')}`);

describe('operation', () => {
  let target;
  before(async () => { target = await startTarget({ echo: true, policy: POLICY }); });
  after(async () => {
    await target?.assertHealthy();
    await target?.stop();
  });

  const NASTY = ['"', '\\', '\r\nx-forged: 1', '\n\n<html>', '\u2028', 'é', '\0', '", error="none', `${'x'.repeat(4096)}`, '<script>alert(1)</script>'];

  test('L03: a challenge is one header, and the same whatever was sent', async () => {
    const challenges = { 401: new Set(), 403: new Set() };
    await each(NASTY, async (text) => {
      const scope = 'mcp:connect';
      const bad = target.mint.token({ scope: text, aud: `https://${text}.example` });
      for (const request of [
        { body: toolCall('listAccounts'), token: bad },
        { body: toolCall('listAccounts'), token: target.mint.token({ iss: text }) },
        { body: toolCall('getCustomerPII', { customerId: text }), token: target.mint.token({ scope }) },
        { body: { ...toolCall('getCustomerPII'), params: { ...toolCall('getCustomerPII').params, _meta: { text } } }, token: target.mint.token({ scope: `${scope} ${text.replace(/[^\x21-\x7e]/g, '')}` }) },
      ]) {
        const answer = await target.post(request.body, { token: request.token });
        assert.ok(answer.status in challenges, `${answer.status}`);
        const challenge = answer.headers.get('www-authenticate');
        // RFC 6750 section 3: auth-params with quoted strings of these characters alone.
        assert.match(challenge, /^Bearer (?:[a-z_]+="[\x21\x23-\x5b\x5d-\x7e ]*"(?:, |$))+$/);
        assert.equal(answer.headers.get('x-forged'), null);
        challenges[answer.status].add(challenge);
      }
    });
    assert.deepEqual([challenges[401].size, challenges[403].size], [1, 1]);
    assert.deepEqual(target.echo.take(), []);
  });

  test('L04: an id comes back as JSON that no browser takes for anything else, or not at all', async () => {
    const ids = [...NASTY.map((text) => [text, text.length <= 1024 && !/[\0-\x1f]/.test(text)]), [Number.MAX_SAFE_INTEGER, true], [Number.MIN_SAFE_INTEGER, true], [1.5, false], [true, false], [{ a: 1 }, false], [[1], false], [1e300, false]];
    await each(ids, async ([id, isValid]) => {
      for (const [name, denied] of [['getCustomerPII', 403], ['noSuchTool', 200]]) {
        const answer = await target.post(toolCall(name, {}, id), { token: target.mint.token({ scope: 'mcp:connect' }) });
        assert.equal(answer.headers.get('content-type'), 'application/json');
        assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
        const { id: given, error } = JSON.parse(answer.text);
        assert.deepEqual([answer.status, given], isValid ? [denied, id] : [400, null]);
        assert.ok(error.message.length < 200 && !error.message.includes('script'));
      }
    });
    assert.deepEqual(target.echo.take(), []);
  });

  test('F06: a rendered configuration that was changed by hand is told from what it should be', async () => {
    const out = join(target.stack.directory, 'rendered');
    assert.equal((await target.stack.command(['render', '--out', out])).code, 0);
    const check = () => target.stack.command(['render', '--check', '--out', out]);
    assert.equal((await check()).code, 0);
    const file = join(out, 'envoy.yaml');
    const rendered = readFileSync(file, 'utf8');
    const disabled = 'typed_per_filter_config: {deputy: {"@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}}';
    const changed = rendered.replace(/^( +)route:$/m, (line, indent) => `${indent}${disabled}\n${line}`);
    assert.ok(changed !== rendered);
    writeFileSync(file, changed);
    const { code, stderr } = await check();
    assert.equal(code, 3, stderr);
  });

  test('F07: no pattern, list of scopes or number of rules keeps a call waiting', async () => {
    const text = 'a'.repeat(4096);
    const ask = (name, args, token) => target.post(toolCall(name, args), { token });
    await each([
      ['repeat', { text: `${text.slice(1)}!` }, false], ['repeat', { text }, true], ['alternate', { text: text.slice(1) + '!' }, false],
      [`tool${RULES - 1}`, {}, true], [`tool${RULES}`, {}, false],
    ], async ([name, args, isAllowed]) => {
      const answer = await ask(name, args);
      assert.equal(answer.status, 200);
      assert.equal(target.echo.take().length, isAllowed ? 1 : 0);
    });
    const scope = `mcp:connect ${'a '.repeat(2300)}`.trim();
    assert.equal((await ask('listAccounts', {}, target.mint.token({ scope }))).status, 200);
    assert.equal(target.echo.take().length, 1);
    // More does not fit into a token that is read.
    assert.equal((await ask('listAccounts', {}, target.mint.token({ scope: 'a '.repeat(10_000).trim() })))?.status, 401);
    assert.deepEqual(target.echo.take(), []);
  });
});
