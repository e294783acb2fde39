// Tasks of an MCP server, bound by the gateway to their users and to the tools that made them.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, beforeEach, describe, test } from 'node:test';
import { JOHN } from '../../demo/people.mjs';
import { until } from '../../demo/process.mjs';
import { request2 } from './support/http2.mjs';
import { chunked, raw } from './support/raw-http.mjs';
import { startScriptedServer } from './support/scripted-server.mjs';
import { startTarget } from './support/target.mjs';
import { startTaskServer } from './support/task-server.mjs';

// The packages are the demo's.
const require = createRequire(new URL('../../demo/package.json', import.meta.url));
const { Client } = require('@modelcontextprotocol/sdk/client/index.js');
const { StreamableHTTPClientTransport } = require('@modelcontextprotocol/sdk/client/streamableHttp.js');
const { CallToolResultSchema, CreateTaskResultSchema } = require('@modelcontextprotocol/sdk/types.js');

const ENDPOINTS = ['/mcp', '/mcp/other'];
const SET = {
  endpoints: `[${ENDPOINTS.map((path) => `{path: ${path}, policy: enterprise-ledger, required_scopes: ["mcp:connect"]}`)}]`,
  'envoy.routes': `{${ENDPOINTS.map((path) => `${path}: enterprise_ledger`)}}`,
};
const NOT_FOUND = { code: -32602, message: 'Failed to retrieve task: Task not found' };
const PII = { scope: 'mcp:connect pii:read' };

/** A stack before `start()`, for the tests of one suite. */
function stackBefore(start, options = { sessions: true, gateway: { set: SET } }) {
  const place = {};
  let target;
  before(async () => {
    place.server = await start();
    target = await startTarget({ upstream: place.server, ...options });
    Object.assign(place, { stack: target.stack, mint: target.mint });
  });
  after(() => target?.stop());
  return place;
}

async function send({ stack }, token, method, params, { path = '', revision = '2025-11-25', headers } = {}) {
  const response = await fetch(stack.gatewayUrl + path, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`, accept: 'application/json, text/event-stream', 'content-type': 'application/json',
      'mcp-protocol-version': revision, ...headers,
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  });
  const text = await response.text();
  const data = text.match(/^data: (.*)$/m);
  return { status: response.status, headers: response.headers, ...JSON.parse(data ? data[1] : text) };
}

const recorded = ({ stack }, reason, count) => until(
  () => stack.auditRecords().filter((record) => record.reason === reason).length >= count, `${count} audit records of ${reason}`,
);

describe('the tasks of a server on the official SDK', () => {
  const place = stackBefore(startTaskServer);
  const tokenOf = (changes) => place.mint.token(changes);
  const ask = (token, method, params, more) => send(place, token, method, params, more);
  const create = async (token, name, more) => (await ask(token, 'tools/call', { name, task: { ttl: 60_000 } }, more)).result.task.taskId;
  beforeEach(() => { place.server.json = false; });

  async function connect(token) {
    const client = new Client({ name: 'test', version: '1' });
    const requestInit = { headers: { authorization: `Bearer ${token}` } };
    await client.connect(new StreamableHTTPClientTransport(new URL(place.stack.gatewayUrl), { requestInit }));
    return client;
  }

  for (const json of [false, true]) {
    test(`a client of the same SDK creates, polls, reads and cancels its own, ${json ? 'in JSON' : 'in event streams'}`, async () => {
      place.server.json = json;
      const client = await connect(tokenOf());
      const { tasks } = client.experimental;
      const messages = [];
      const stream = tasks.callToolStream({ name: 'listAccounts', arguments: {} }, CallToolResultSchema, { task: { ttl: 60_000 } });
      for await (const message of stream) messages.push(message);
      assert.equal(messages[0].type, 'taskCreated');
      const { taskId } = messages[0].task;
      assert.ok(place.server.ids.every((id) => id !== taskId));
      assert.equal(messages.at(-1).result?.content[0].text, 'two accounts');
      assert.equal(messages.at(-1).result._meta['io.modelcontextprotocol/related-task'].taskId, taskId);
      assert.deepEqual([(await tasks.getTask(taskId)).taskId, (await tasks.getTask(taskId)).status], [taskId, 'completed']);

      const { task } = await client.request({ method: 'tools/call', params: { name: 'getAccount', task: {} } }, CreateTaskResultSchema);
      assert.deepEqual((await tasks.cancelTask(task.taskId)).status, 'cancelled');
      assert.equal((await tasks.getTask(task.taskId)).status, 'cancelled');
      await client.close();
      const record = await until(() => place.stack.auditRecords().find(({ method }) => method === 'tasks/cancel'), 'the audit record');
      assert.deepEqual([record.tool, record.delegation.scope], ['getAccount', 'ledger:GetAccount']);
    });
  }

  test('only the bytes of the id change on the way up, and the length is right', async () => {
    const token = tokenOf();
    const taskId = await create(token, 'listAccounts');
    const params = { before: taskId, taskId, after: [taskId, 'é', 'x'.repeat(100_000)] };
    assert.equal((await ask(token, 'tasks/get', params)).result.status, 'completed');
    const { text, headers } = place.server.requests.at(-1);
    const id = JSON.parse(text).params.taskId;
    assert.ok(place.server.ids.includes(id));
    assert.equal(text, JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tasks/get', params: { ...params, taskId: id } }));
    assert.equal(headers['content-length'], String(Buffer.byteLength(text)));
    assert.equal(headers['transfer-encoding'], undefined);
  });

  test('however the body is framed, and whether or not the token must be exchanged first', async () => {
    const taskId = await create(tokenOf(), 'listAccounts');
    const message = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tasks/get', params: { taskId, é: taskId } });
    const half = Math.floor(message.length / 2);
    const pieces = [Buffer.from(message.slice(0, half)), Buffer.from(message.slice(half))];
    const { gateway: port } = place.stack.ports;
    const trailers = { 'x-a': 'b' };
    const headersOf = (token) => ({
      authorization: `Bearer ${token}`, accept: 'application/json, text/event-stream', 'content-type': 'application/json', 'mcp-protocol-version': '2025-11-25',
    });
    const framings = {
      'HTTP/2': (headers) => request2(port, { headers, pieces }),
      'HTTP/2, an empty frame last': (headers) => request2(port, { headers, pieces, emptyEnd: true }),
      'HTTP/2, trailers': (headers) => request2(port, { headers, pieces, trailers }),
      chunked: (headers) => raw(port, { headers: [...Object.entries(headers), ['transfer-encoding', 'chunked']], body: chunked(pieces) }),
      'chunked, trailers': (headers) => raw(port, {
        headers: [...Object.entries(headers), ['transfer-encoding', 'chunked']], body: chunked(pieces, Object.entries(trailers)),
      }),
    };
    for (const [framing, exchange] of Object.entries(framings)) {
      const token = tokenOf();
      for (const when of ['exchanged', 'cached']) {
        const { status, text } = await exchange(headersOf(token));
        assert.equal(status, 200, `${framing}, ${when}`);
        assert.ok(text.includes('"completed"') && text.includes(taskId), `${framing}, ${when}`);
        const up = place.server.requests.at(-1);
        const { params } = JSON.parse(up.text);
        assert.ok(place.server.ids.includes(params.taskId));
        assert.equal(params.é, taskId);
        assert.equal(up.headers['content-length'], String(Buffer.byteLength(up.text)));
      }
    }
  });

  test('S05: nobody follows or steers the task of another, and the server never hears of it', async () => {
    const sarah = tokenOf();
    const taskId = await create(sarah, 'getAccount');
    const raw = place.server.ids.at(-1);
    const [id, seal] = taskId.split('.');
    const other = await create(sarah, 'listAccounts');
    const seen = place.server.requests.length;
    const attempts = [
      [tokenOf({ sub: JOHN.user }), taskId, 'foreign_task'],
      [tokenOf({ client_id: 'another-client' }), taskId, 'foreign_task'],
      [sarah, taskId, 'foreign_task', { path: '/other' }],
      [sarah, raw, 'malformed_task'],
      [sarah, `${id}.${other.split('.')[1]}`, 'foreign_task'],
      [sarah, `${id}.${seal.slice(1)}`, 'malformed_task'],
      [sarah, `${Buffer.from(`listAccounts:${raw}`).toString('base64url')}.${seal}`, 'foreign_task'],
    ];
    const counts = {};
    for (const [token, named, reason, more] of attempts) {
      for (const method of ['tasks/get', 'tasks/result', 'tasks/cancel']) {
        const { status, error } = await ask(token, method, { taskId: named }, more);
        assert.deepEqual([status, error], [200, NOT_FOUND], `${method} ${named}`);
        counts[reason] = (counts[reason] ?? 0) + 1;
      }
    }
    const related = { name: 'listAccounts', _meta: { 'io.modelcontextprotocol/related-task': { taskId } } };
    assert.deepEqual((await ask(tokenOf({ sub: JOHN.user }), 'tools/call', related)).error, NOT_FOUND);
    assert.equal(place.server.requests.length, seen, 'nothing went up');
    for (const [reason, count] of Object.entries(counts)) await recorded(place, reason, count);
    assert.equal((await ask(sarah, 'tasks/get', { taskId })).result.status, 'working', 'her own goes on');
  });

  test('S05: a task is judged by the rule of its tool', async () => {
    const taskId = await create(tokenOf(PII), 'getCustomerPII');
    const seen = place.server.requests.length;
    const weaker = await ask(tokenOf(), 'tasks/result', { taskId });
    assert.equal(weaker.status, 403);
    assert.match(weaker.headers.get('www-authenticate'), /insufficient_scope.*pii:read/);
    assert.equal(place.server.requests.length, seen);
    assert.equal((await ask(tokenOf(PII), 'tasks/result', { taskId })).result.content[0].text, '123-45-6789');
  });

  test('S06: tasks are not listed', async () => {
    const seen = place.server.requests.length;
    assert.equal((await ask(tokenOf(), 'tasks/list', {})).error.code, 403);
    assert.equal(place.server.requests.length, seen);
  });
});

describe('the tasks of the extension of 2026-07-28', () => {
  const place = stackBefore(startScriptedServer);
  const RAW = 'task-1';
  const ask = (token, method, params, name) => send(place, token, method, {
    _meta: {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': { extensions: { 'io.modelcontextprotocol/tasks': {} } },
    },
    ...params,
  }, { revision: '2026-07-28', headers: { 'mcp-method': method, ...(name && { 'mcp-name': name }) } });
  const seen = [];
  before(() => {
    place.server.answer = (outgoing, incoming) => {
      const { method, params } = JSON.parse(incoming.body);
      seen.push({ method, params, name: incoming.headers['mcp-name'] });
      const task = { resultType: method === 'tools/call' ? 'task' : 'complete', taskId: RAW, status: 'working', ttlMs: null };
      const message = method === 'subscriptions/listen'
        ? { method: 'notifications/tasks', params: task } : { id: 1, result: method === 'tasks/get' || method === 'tools/call' ? task : { resultType: 'complete' } };
      const text = JSON.stringify({ jsonrpc: '2.0', ...message });
      const type = message.id ? 'application/json' : 'text/event-stream';
      outgoing.writeHead(200, { 'content-type': type }).end(message.id ? text : `data: ${text}\n\n`);
    };
  });

  test('body and Mcp-Name name the same task on both sides, and its owner alone may', async () => {
    const sarah = place.mint.token();
    const { result: { taskId } } = await ask(sarah, 'tools/call', { name: 'listAccounts' }, 'listAccounts');
    assert.notEqual(taskId, RAW);
    for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel']) {
      const { result } = await ask(sarah, method, { taskId }, taskId);
      assert.equal(result.taskId ?? taskId, taskId);
      const up = seen.at(-1);
      assert.deepEqual([up.method, up.params.taskId, up.name], [method, RAW, RAW]);
    }
    const listening = await ask(sarah, 'subscriptions/listen', { notifications: { taskIds: [taskId] } });
    assert.equal(listening.params.taskId, taskId);
    assert.deepEqual(seen.at(-1).params.notifications, { taskIds: [RAW] });

    const before = seen.length;
    for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel']) {
      assert.equal((await ask(sarah, method, { taskId }, RAW)).error.code, -32020, 'S05: another name in the header');
      assert.deepEqual((await ask(sarah, method, { taskId: RAW }, RAW)).error, NOT_FOUND, 'S05: the raw id');
      assert.deepEqual((await ask(place.mint.token({ sub: JOHN.user }), method, { taskId }, taskId)).error, NOT_FOUND, 'S05: another user');
    }
    const foreign = await ask(place.mint.token({ sub: JOHN.user }), 'subscriptions/listen', { notifications: { taskIds: [taskId] } });
    assert.deepEqual(foreign.error, NOT_FOUND);
    assert.equal(seen.length, before, 'nothing went up');
  });

  test('H07: a tool that asks clients for a harmful header is not listed', async () => {
    const { answer } = place.server;
    const tool = (name, header) => ({ name, inputSchema: { type: 'object', properties: { p: { type: 'string', 'x-mcp-header': header } } } });
    const tools = [tool('listAccounts', 'Authorization'), tool('getAccount', 'X\r\nY'), tool('getTransactions', 'Mcp-Name'), tool('updateAccountStatus', 'Region')];
    place.server.answer = (outgoing) => outgoing.writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ jsonrpc: '2.0', id: 1, result: { resultType: 'complete', tools } }));
    const { result } = await ask(place.mint.token(), 'tools/list', {});
    assert.deepEqual(result.tools, [tools[3]]);
    place.server.answer = answer;
  });
});

describe('a server with tasks behind a gateway without keys', () => {
  const place = stackBefore(startTaskServer, {});

  test('S05: is told so when it makes one', async () => {
    place.server.json = true;
    const { status, error } = await send(place, place.mint.token(), 'tools/call', { name: 'listAccounts', task: {} });
    assert.deepEqual([status, error.code], [502, -32603]);
    assert.ok(!JSON.stringify(error).includes(place.server.ids[0]));
    const record = await until(() => place.stack.auditRecords().find((one) => one.status === 502), 'the audit record');
    assert.deepEqual([record.reason, record.detail], ['unfilterable_response', 'sessions_not_configured']);
    assert.deepEqual((await send(place, place.mint.token(), 'tasks/get', { taskId: place.server.ids[0] })).error, NOT_FOUND);
  });
});
