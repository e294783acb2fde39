// Lists show what a rule names, whatever the server answers.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SignedInClient } from '../../demo/client/client.mjs';
import { root } from '../../demo/keys.mjs';
import { SARAH } from '../../demo/people.mjs';
import { until } from '../../demo/process.mjs';
import { startStack } from '../../demo/stack.mjs';
import { each } from './support/attacks.mjs';
import { startScriptedServer } from './support/scripted-server.mjs';
import { Mint } from './support/tokens.mjs';

const VISIBLE = ['getAccount', 'getAuditLog', 'getCustomerPII', 'listAccounts', 'updateAccountStatus'];

const list = (names, more = {}) => JSON.stringify({ jsonrpc: '2.0', id: 1, result: { tools: names.map((name) => ({ name })), ...more } });
const names = (message) => JSON.parse(message).result.tools.map(({ name }) => name);

describe('the lists of the ledger', () => {
  let state;
  let stack;
  before(async () => {
    state = mkdtempSync(join(tmpdir(), 'deputy-lists-'));
    const policies = join(state, 'policies');
    cpSync(join(root, 'policies'), policies, { recursive: true });
    const path = join(policies, 'enterprise-ledger.yaml');
    const rule = /  getTransactions:\n(    .*\n)+/;
    const policy = readFileSync(path, 'utf8');
    assert.match(policy, rule);
    writeFileSync(path, policy.replace(rule, ''));
    stack = await startStack({ state, gateway: { set: { policies } } });
  });
  after(async () => {
    await stack?.stop();
    rmSync(state, { recursive: true });
  });

  test('a client sees what it could use or step up to, and no tool that no rule names', async () => {
    const client = await SignedInClient.connect(stack.gatewayUrl, SARAH);
    const { tools } = await client.listTools();
    assert.deepEqual(tools.map(({ name }) => name).sort(), VISIBLE);
    assert.ok(tools.every(({ inputSchema }) => inputSchema.type === 'object'));
    await client.close();
  });
});

describe('the lists of any server', () => {
  let state;
  let server;
  let stack;
  let mint;
  before(async () => {
    state = mkdtempSync(join(tmpdir(), 'deputy-lists-'));
    server = await startScriptedServer();
    stack = await startStack({ state, upstream: server.address });
    mint = new Mint(stack);
  });
  after(async () => {
    await stack?.stop();
    await server?.stop();
    rmSync(state, { recursive: true });
  });

  const ask = (method = 'tools/list', headers = {}) => fetch(stack.gatewayUrl, {
    method: 'POST',
    headers: { authorization: `Bearer ${mint.token()}`, 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, ...(method === 'tools/call' && { params: { name: 'listAccounts' } }) }),
  });
  const listen = () => fetch(stack.gatewayUrl, { headers: { authorization: `Bearer ${mint.token()}`, accept: 'text/event-stream' } });
  const answer = (status, headers, body) => {
    server.answer = (outgoing) => outgoing.writeHead(status, headers).end(body);
  };
  const refused = (detail) => until(() => stack.auditRecords().find((record) => record.reason === 'unfilterable_response' && record.detail === detail),
    `the audit record of ${detail}`);

  test('P01 P02: JSON of any spelling and status is filtered', () => each([
    [200, 'application/json'], [200, 'Application/JSON'], [206, 'application/json ;charset=utf-8'], [299, 'application/json'],
    [404, 'application/json'], [500, 'application/json'],
  ], async ([status, type]) => {
    answer(status, { 'content-type': type, etag: '"1"', 'content-length': list(['listAccounts', 'secret']).length }, list(['listAccounts', 'secret']));
    const response = await ask();
    assert.equal(response.status, status);
    assert.deepEqual(names(await response.text()), ['listAccounts']);
    assert.equal(response.headers.get('content-length'), null);
    assert.equal(response.headers.get('etag'), null);
  }));

  test('P03 P04: what cannot be read is not passed', () => each([
    ['text/plain', undefined, 'media_type'], [undefined, undefined, 'media_type'], ['application/json', 'gzip', 'content_encoding'],
    ['text/event-stream', 'gzip', 'content_encoding'],
  ], async ([type, coding, detail]) => {
    answer(200, { ...(type && { 'content-type': type }), ...(coding && { 'content-encoding': coding }) }, list(['secret']));
    const response = await ask();
    assert.equal(response.status, 502);
    assert.doesNotMatch(await response.text(), /secret/);
    await refused(detail);
  }));

  test('P14: JSON that is read in two ways is a 502 if nothing passed, and a reset if something did', async () => {
    answer(200, { 'content-type': 'application/json' }, '{"result":{"tools":[],"Tools":[{"name":"secret"}]}}');
    const response = await ask();
    assert.equal(response.status, 502);
    assert.match(await response.text(), /cannot be filtered/);
    await refused('json_duplicate_member');

    server.answer = async (outgoing) => {
      outgoing.writeHead(200, { 'content-type': 'application/json' });
      outgoing.write('{"result":{"tools":[{"name":"listAccounts"},');
      await sleep(200);
      outgoing.end('{"title":"secret"}]}}');
    };
    const begun = await ask();
    assert.equal(begun.status, 200);
    await assert.rejects(begun.text(), TypeError);
    const record = await refused('nameless_element');
    assert.deepEqual([record.decision, record.status], ['refuse', 200]);

    server.answer = async (outgoing) => {
      outgoing.writeHead(200, { 'content-type': 'application/json' });
      outgoing.write(list(['listAccounts']).slice(0, -1));
      await sleep(200);
      outgoing.end();
    };
    await assert.rejects((await ask()).text(), TypeError);
    await refused('truncated');
  });

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

  test('P07 P13: events of any request and framing are filtered, and pings pass at once', async () => {
    const event = (end) => `: ping${end}${end}id: 1${end}data: ${list(['secret', 'listAccounts', 'secret'])}${end}${end}`;
    const stream = ['\n', '\r\n', '\r'].map(event).join('');
    for (const request of [listen, () => ask(), () => ask('tools/call')]) {
      server.answer = async (outgoing) => {
        outgoing.writeHead(200, { 'content-type': 'text/event-stream' });
        for (const byte of stream) outgoing.write(byte);
        await sleep(50);
        outgoing.end('data: unfinished');
      };
      const text = await (await request()).text();
      assert.doesNotMatch(text, /secret|unfinished/);
      assert.equal(text.match(/: ping/g).length, 3);
      assert.deepEqual([...text.matchAll(/data: (.*)/g)].flatMap(([, message]) => names(message)), ['listAccounts', 'listAccounts', 'listAccounts']);
    }
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

  test('P06: an event that is no single value ends the stream', async () => {
    server.answer = async (outgoing) => {
      outgoing.writeHead(200, { 'content-type': 'text/event-stream' });
      outgoing.write('data: 1\n\n');
      await sleep(200);
      outgoing.write(`data: {}\ndata: ${list(['secret'])}\n\n`);
    };
    const response = await listen();
    const chunks = [];
    await assert.rejects(async () => { for await (const chunk of response.body) chunks.push(chunk); });
    assert.equal(Buffer.concat(chunks).toString(), 'data: 1\n\n');
    await refused('json_syntax');
  });

  test('the server is not asked for an encoded answer', async () => {
    let asked;
    server.answer = (outgoing, incoming) => {
      asked = incoming.headers;
      outgoing.writeHead(200, { 'content-type': 'application/json' }).end(list([]));
    };
    await (await ask('tools/list', { 'accept-encoding': 'gzip' })).text();
    assert.equal(asked['accept-encoding'], undefined);
    assert.equal(asked.accept, 'application/json, text/event-stream');
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
    assert.ok([502, 503].includes(response.status), String(response.status));
  });
});
