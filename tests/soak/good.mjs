// What good clients do: each kind makes a deed, which is done again and again, and throws if the answer is not the one due. Some
// give how long it took, in milliseconds.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { SignedInClient } from '../../demo/client/client.mjs';
import { JOHN, SARAH } from '../../demo/people.mjs';
import { bytesOf, call, JSON_HEADERS, LIST_ACCOUNTS, requestHeaders, toolCall } from '../envoy/support/client.mjs';
import { request2 } from '../envoy/support/http2.mjs';
import { chunked, raw } from '../envoy/support/raw-http.mjs';
import { INITIALIZE, PING, send } from '../envoy/support/sessions.mjs';

const RENEWED_AFTER = 30_000; // milliseconds
const LIST = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
const TOOLS = ['getAccount', 'getAuditLog', 'getCustomerPII', 'getTransactions', 'listAccounts', 'updateAccountStatus'];

/** Which tool takes what, and needs a scope that not everybody may have. */
const CALLS = {
  listAccounts: {},
  getAccount: { args: { accountId: 'ACC-1001' } },
  getTransactions: { args: { accountId: 'ACC-1002' } },
  updateAccountStatus: { args: { accountId: 'ACC-1002', status: 'active' } },
  getCustomerPII: { args: { customerId: 'CUST-001' }, isRestricted: true },
  getAuditLog: { args: { limit: 5 }, isRestricted: true },
};

/** Signs in as people do, steps up if that helps, and does so again after a while. */
export class Person {
  #token;
  #since = -Infinity;

  constructor(url, credentials) { Object.assign(this, { url, credentials }); }

  get mayAll() { return this.credentials === SARAH; }

  async token() {
    if (performance.now() - this.#since < RENEWED_AFTER) return this.#token;
    const client = await SignedInClient.connect(this.url, this.credentials);
    try {
      for (const tool of this.mayAll ? ['getCustomerPII', 'getAuditLog'] : ['listAccounts']) await client.callTool(tool, CALLS[tool].args);
      this.#token = client.accessToken;
    } finally {
      await client.close();
    }
    this.#since = performance.now();
    return this.#token;
  }
}

/** `place`: `{ stack, sessions, agents }`; `sessions` is a stack at the URL of an MCP server with sessions. */
export const GOOD = {
  calls: { clients: 4, make: (place, person) => {
    const agent = keptAlive(place);
    return async ({ pick }) => {
      const tool = pick(Object.keys(CALLS));
      const answer = await call(place.stack, await person.token(), toolCall(tool, CALLS[tool].args), agent);
      assertCalled(answer, tool, person);
      return answer.ms;
    };
  } },

  'calls over HTTP/2': { clients: 2, make: ({ stack }, person) => async ({ pick }) => {
    const tool = pick(Object.keys(CALLS));
    const headers = requestHeaders(await person.token());
    const started = performance.now();
    const { status, headers: answered, text } = await request2(stack.ports.gateway, { headers, pieces: [bytesOf(toolCall(tool, CALLS[tool].args))] });
    assertCalled({ status, headers: Object.fromEntries(answered ?? []), text }, tool, person);
    return performance.now() - started;
  } },

  lists: { clients: 2, make: (place, person) => {
    const agent = keptAlive(place);
    return async () => {
      const { status, message, text, ms } = await call(place.stack, await person.token(), LIST, agent);
      assert.equal(status, 200, text);
      assert.deepEqual(message.result.tools.map(({ name }) => name).sort(), TOOLS);
      return ms;
    };
  } },

  sessions: { clients: 2, make: ({ sessions }, person) => async () => {
    const token = await person.token();
    const opened = await send(sessions, 'POST', token, undefined, { message: INITIALIZE });
    await opened.text();
    const session = opened.headers.get('mcp-session-id');
    assert.ok(session, `${opened.status}`);
    const ask = async (message) => {
      const answer = await send(sessions, 'POST', token, session, message);
      assert.equal(answer.status, 200);
      return answer.text();
    };
    await ask(PING);
    assert.match(await ask({ message: { method: 'tools/list' } }), /^(event|data): [^]*"listAccounts"/);
    await listen(sessions, token, session);
    assert.match(await ask({ message: { method: 'tools/call', params: { name: 'listAccounts' } } }), /"content"/);
    const ended = await send(sessions, 'DELETE', token, session);
    await ended.text();
    assert.equal(ended.status, 200);
  } },

  'slow calls': { clients: 3, make: ({ stack }, person) => async () => {
    const [head, ...rest] = chunked(LIST_ACCOUNTS.match(/.{1,8}/g));
    const body = [head, ...rest.flatMap((piece) => [100, piece])];
    const headers = [...JSON_HEADERS, ['authorization', `Bearer ${await person.token()}`], ['transfer-encoding', 'chunked']];
    assert.equal((await raw(stack.ports.gateway, { headers, body }))?.status, 200);
  } },

  'big calls': { clients: 1, make: (place, person) => {
    const agent = keptAlive(place);
    return async ({ below }) => {
      const body = toolCall('getAccount', { accountId: 'ACC-1001', note: 'x'.repeat(below(900_000)) });
      assert.equal((await call(place.stack, await person.token(), body, agent)).status, 200);
      await sleep(500);
    };
  } },
};

/** Who does them: each client of a kind is another of these. */
export const people = (url) => [SARAH, JOHN].map((credentials) => () => new Person(url, credentials));

function keptAlive({ agents }) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  agents.push(agent);
  return agent;
}

function assertCalled({ status, headers, text }, tool, person) {
  assert.doesNotMatch(text ?? '', /eyJ[\w-]+\./, 'a token in the answer');
  if (CALLS[tool].isRestricted && !person.mayAll) {
    assert.equal(status, 403, text);
    assert.match(headers['www-authenticate'], /error="insufficient_scope"/);
  } else {
    assert.equal(status, 200, text);
    assert.match(text, /"structuredContent":/);
  }
}

/** Opens the stream of what the server has to say, and leaves it. */
async function listen({ gatewayUrl }, token, session) {
  const { host, ...headers } = { ...requestHeaders(token), 'mcp-session-id': session, accept: 'text/event-stream' };
  const opened = request(gatewayUrl, { headers, agent: false }).end();
  const [answer] = await once(opened, 'response');
  assert.equal(answer.statusCode, 200);
  answer.on('error', () => {});
  opened.on('error', () => {}).destroy();
}
