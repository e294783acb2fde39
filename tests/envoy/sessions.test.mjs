// Sessions of a stateful MCP server, bound to their users by the gateway.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { SARAH } from '../../demo/people.mjs';
import { until } from '../../demo/process.mjs';
import { KEYS, PING, initialize, keysFrom, send } from './support/sessions.mjs';
import { startStatefulServer } from './support/stateful-server.mjs';
import { startTarget } from './support/target.mjs';
import { inSeconds } from './support/tokens.mjs';

// The packages are the demo's.
const require = createRequire(new URL('../../demo/package.json', import.meta.url));
const { Client } = require('@modelcontextprotocol/sdk/client/index.js');
const { StreamableHTTPClientTransport } = require('@modelcontextprotocol/sdk/client/streamableHttp.js');
const { ElicitRequestSchema } = require('@modelcontextprotocol/sdk/types.js');

/** Runs `check` with a stateful server and a stack in front of it, configured by `set`. */
async function withStack(set, check) {
  const target = await startTarget({ upstream: await startStatefulServer(), gateway: { set, env: KEYS } });
  try {
    await check(target.stack, target.mint);
  } finally {
    await target.stop();
  }
}

describe('the sessions of a stateful server', () => {
  let server;
  let target;
  let stack;
  let mint;
  before(async () => {
    server = await startStatefulServer();
    const policy = (text) => `${text}\nserver_requests: [ping, elicitation/create]\n`;
    const set = { sessions: keysFrom('DEPUTY_SESSION_KEY_BEFORE') };
    target = await startTarget({ upstream: server, policy, gateway: { set, env: KEYS } });
    ({ stack, mint } = target);
  });
  after(() => target?.stop());

  const tokenOf = ({ user: sub }, changes) => mint.token({ sub, ...changes });

  const request = (...args) => send(stack, ...args);
  const open = async (token) => (await initialize(stack, token)).session;

  async function connect(token, answers) {
    const client = new Client({ name: 'test', version: '1' }, { capabilities: { elicitation: {} } });
    client.setRequestHandler(ElicitRequestSchema, async () => answers);
    const requestInit = { headers: { authorization: `Bearer ${token}` } };
    const transport = new StreamableHTTPClientTransport(new URL(stack.gatewayUrl), { requestInit });
    await client.connect(transport);
    return { client, transport };
  }

  test('a client of the official SDK works in its own session, and ends it', async () => {
    const { client, transport } = await connect(tokenOf(SARAH));
    const text = async () => (await client.callTool({ name: 'listAccounts', arguments: {} })).content[0].text;
    assert.deepEqual([await text(), await text()], ['1', '2']);
    assert.equal(server.sessions.length, 1);
    assert.ok(!transport.sessionId.includes(server.sessions[0]));
    await transport.terminateSession();
    assert.deepEqual(server.sessions, []);
    await client.close();
  });

  test('a client answers what the server asks, in its session, as the policy allows', async () => {
    const { client, transport } = await connect(tokenOf(SARAH), { action: 'accept', content: { account: 'ACC-1001' } });
    const { content } = await client.callTool({ name: 'getAccount', arguments: {} });
    assert.equal(content[0].text, 'accept ACC-1001');
    const record = await until(() => stack.auditRecords().find(({ answers }) => answers === 'elicitation/create'), 'the audit record');
    assert.deepEqual([record.decision, record.subject, record.upstream_status], ['allow', SARAH.user, 202]);

    const roots = { message: { result: { roots: [] } } };
    assert.equal((await request('POST', tokenOf(SARAH), transport.sessionId, roots)).status, 202);
    const denied = await until(() => stack.auditRecords().find(({ answers }) => answers === 'roots/list'), 'the audit record');
    assert.deepEqual([denied.decision, denied.upstream_status], ['deny', undefined]);
    assert.equal((await request('POST', tokenOf(SARAH), undefined, { message: { result: {} } })).status, 400);
    await transport.terminateSession();
    await client.close();
  });

  test('keys rotate by pushes, and sessions go on', async () => {
    const push = (...names) => stack.reconfigure({ set: { sessions: keysFrom(...names) } });
    const sarah = tokenOf(SARAH);
    const old = await open(sarah);
    const ping = async (session) => (await request('POST', sarah, session, PING)).status;

    assert.equal(await push('DEPUTY_SESSION_KEY', 'DEPUTY_SESSION_KEY_BEFORE'), 'accepted');
    // Each worker takes it on its own, a moment apart.
    const sealed = await until(async () => {
      const answer = await request('POST', sarah, old, PING);
      assert.equal(answer.status, 200);
      const now = answer.headers.get('mcp-session-id');
      return now !== old && now;
    }, 'the new key');
    for (let i = 0; i < 8; i += 1) assert.equal(await ping(old), 200);

    assert.equal(await push('DEPUTY_SESSION_KEY'), 'accepted');
    await until(async () => await ping(old) === 404, 'the end of the old key');
    assert.equal(await ping(sealed), 200);
  });

  test('a configuration whose key is missing or short is refused, and the one before serves on', async () => {
    const sarah = tokenOf(SARAH);
    const session = await open(sarah);
    for (const [name, what] of [['DEPUTY_NO_SUCH_KEY', 'is not set in the environment'], ['DEPUTY_SHORT_KEY', 'is shorter than 32 bytes']]) {
      assert.equal(await stack.reconfigure({ set: { sessions: keysFrom(name) } }), 'rejected');
      const told = new RegExp(`sessions.keys_from_environment\\[0\\]: \`${name}\` ${what}`);
      await until(() => told.test(readFileSync(stack.logs.envoy, 'utf8')), 'why, in the log');
    }
    assert.equal((await request('POST', sarah, session, PING)).status, 200);
  });

  test('no key is in the log or in what the admin interface shows', async () => {
    const dump = await (await fetch(`${stack.adminUrl}/config_dump`)).text();
    for (const text of [dump, readFileSync(stack.logs.envoy, 'utf8')]) {
      for (const key of Object.values(KEYS).filter(({ length }) => length > 40)) assert.ok(!text.includes(key));
    }
  });
});

describe('a push', () => {
  // Under the same virtual machine, and under another.
  for (const [what, change] of [['limits', { 'limits.cached_tokens': 9_999 }], ['keys', { sessions: keysFrom('DEPUTY_SESSION_KEY', 'DEPUTY_SESSION_KEY_BEFORE') }]]) {
    test(`of other ${what} does not keep a stream open beyond its token`, async () => {
      const set = { sessions: keysFrom('DEPUTY_SESSION_KEY_BEFORE'), 'issuers[0].leeway': '1s' };
      await withStack(set, async (stack, mint) => {
        const { session } = await initialize(stack, mint.token());
        const stream = await send(stack, 'GET', mint.token({ exp: inSeconds(2) }), session);
        assert.equal(stream.status, 200);
        assert.equal(await stack.reconfigure({ set: change }), 'accepted');
        await assert.rejects(stream.text());
        await until(() => stack.auditRecords().some(({ reason }) => reason === 'token_expired'), 'why, in the record');
      });
    });
  }
});

describe('a stateful server behind a gateway without sessions', () => {
  test('is told so by the first answer', () => withStack({}, async (stack, mint) => {
    assert.deepEqual(await initialize(stack, mint.token()), { status: 502, session: null });
    const record = await until(() => stack.auditRecords().find(({ status }) => status === 502), 'the audit record');
    assert.deepEqual([record.reason, record.upstream_status], ['sessions_not_configured', 200]);
  }));
});
