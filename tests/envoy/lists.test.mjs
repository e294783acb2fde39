// Lists show what a rule names, whatever the server answers.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { SignedInClient } from '../../demo/client/client.mjs';
import { SARAH } from '../../demo/people.mjs';
import { startScriptedServer } from './support/scripted-server.mjs';
import { startTemporaryStack } from './support/stack.mjs';
import { startTarget } from './support/target.mjs';

const VISIBLE = ['getAccount', 'getAuditLog', 'getCustomerPII', 'listAccounts', 'updateAccountStatus'];

const list = (names, more = {}) => JSON.stringify({ jsonrpc: '2.0', id: 1, result: { tools: names.map((name) => ({ name })), ...more } });
const names = (message) => JSON.parse(message).result.tools.map(({ name }) => name);

describe('the lists of the ledger', () => {
  let stack;
  before(async () => {
    const rule = /  getTransactions:\n(    .*\n)+/;
    const policy = (text) => {
      assert.match(text, rule);
      return text.replace(rule, '');
    };
    stack = await startTemporaryStack({ policy });
  });
  after(() => stack?.stop());

  test('a client sees what it could use or step up to, and no tool that no rule names', async () => {
    const client = await SignedInClient.connect(stack.gatewayUrl, SARAH);
    const { tools } = await client.listTools();
    assert.deepEqual(tools.map(({ name }) => name).sort(), VISIBLE);
    assert.ok(tools.every(({ inputSchema }) => inputSchema.type === 'object'));
    await client.close();
  });
});

describe('the lists of any server', () => {
  let server;
  let target;
  let stack;
  let mint;
  before(async () => {
    server = await startScriptedServer();
    target = await startTarget({ upstream: server });
    ({ stack, mint } = target);
  });
  after(() => target?.stop());

  const ask = (method = 'tools/list', headers = {}) => fetch(stack.gatewayUrl, {
    method: 'POST',
    headers: { authorization: `Bearer ${mint.token()}`, 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, ...(method === 'tools/call' && { params: { name: 'listAccounts' } }) }),
  });
  const listen = () => fetch(stack.gatewayUrl, { headers: { authorization: `Bearer ${mint.token()}`, accept: 'text/event-stream' } });
  const answer = (status, headers, body) => {
    server.answer = (outgoing) => outgoing.writeHead(status, headers).end(body);
  };

  test('an answer without a body, and one that is no list, passes as it is', async () => {
    answer(202, {}, undefined);
    assert.equal((await ask()).status, 202);
    answer(204, {}, undefined);
    assert.equal((await ask()).status, 204);
    const text = list(['secret']);
    answer(200, { 'content-type': 'application/json', etag: '"1"' }, text);
    const response = await ask('tools/call');
    assert.equal(response.headers.get('etag'), '"1"');
    assert.equal(await response.text(), text);
  });

  test('an event arrives before the stream goes on', async () => {
    let end;
    server.answer = (outgoing) => {
      outgoing.writeHead(200, { 'content-type': 'text/event-stream' });
      outgoing.flushHeaders();
      end = (event) => { outgoing.write(event); return () => outgoing.end(); };
    };
    const reader = (await listen()).body.getReader(); // the headers do not wait
    const finish = end('data: 1\n\n');
    assert.equal(Buffer.from((await reader.read()).value).toString(), 'data: 1\n\n');
    finish();
    assert.ok((await reader.read()).done);
  });

  test('a list of 10 MB streams through', async () => {
    const tool = (name) => JSON.stringify({ name, description: 'x'.repeat(1000), inputSchema: { type: 'object' } });
    const tools = Array.from({ length: 5_000 }, () => `${tool('listAccounts')},${tool('secret')}`).join(',');
    const whole = `{"jsonrpc":"2.0","id":1,"result":{"cacheScope":"public","tools":[${tools}]}}`;
    assert.ok(whole.length > 10_000_000);
    for (const [type, body] of [['application/json', whole], ['text/event-stream', `data: ${list(['secret'])}\n\n`.repeat(100_000)]]) {
      answer(200, { 'content-type': type }, body);
      const started = performance.now();
      const text = await (await ask()).text();
      assert.doesNotMatch(text, /secret/);
      assert.ok(performance.now() - started < 10_000);
      if (type === 'application/json') {
        assert.equal(names(text).length, 5_000);
        assert.equal(JSON.parse(text).result.cacheScope, 'private');
      }
    }
  });

  test('a server that is down is a 5xx for a list too', async () => {
    await server.stop();
    const response = await ask();
    assert.equal(response.status, 503);
  });
});
