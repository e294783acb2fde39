// One record for each transaction, with the whole chain in it, that nobody outside can forge or break, and no token anywhere.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { LEDGER } from '../../demo/enterprise-ledger/delegation-token.mjs';
import { GATEWAY, readJson } from '../../demo/keys.mjs';
import { SARAH } from '../../demo/people.mjs';
import { until } from '../../demo/process.mjs';
import { JSON_HEADERS, toolCall } from './support/client.mjs';
import { raw } from './support/raw-http.mjs';
import { startTarget } from './support/target.mjs';
import { decode, fingerprint } from './support/tokens.mjs';

describe('the audit record', () => {
  let target;
  const tokens = [];
  before(async () => { target = await startTarget(); });
  after(async () => {
    await target?.assertHealthy();
    await target?.stop();
  });

  const mint = (...changes) => {
    tokens.push(target.mint.token(...changes));
    return tokens.at(-1);
  };
  const records = () => target.stack.auditRecords();

  /** The records that `request` leaves: it must be one. */
  async function recordOf(request) {
    const before = records().length;
    const answer = await request();
    await until(() => records().length > before, 'the record');
    const left = records().slice(before);
    assert.equal(left.length, 1);
    assert.equal(left[0].status, answer.status);
    return left[0];
  }

  /** What every record has; the rest must be what is expected and nothing else. */
  function assertRecord({ time, request_id: id, policy_hash: hash, duration_ms: duration, ...rest }, expected) {
    assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000);
    assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.match(id, /^[0-9a-f-]{36}$/);
    assert.match(hash, /^[0-9a-f]{16}$/);
    assert.ok(duration >= 0 && duration < 60_000);
    assert.deepEqual(rest, expected);
  }

  const caller = (token) => {
    const claims = decode(token);
    return { issuer: claims.iss, subject: claims.sub, client: claims.client_id, token_id: claims.jti };
  };

  test('of an allowed call has the whole chain', async () => {
    const token = mint();
    const record = await recordOf(() => target.post(toolCall('getAccount', { accountId: 'ACC-1001' }), { token }));
    const { claims } = await until(() => target.stack.ledgerRequests().find(({ tool }) => tool === 'getAccount'), 'the ledger');
    assertRecord(record, { http_method: 'POST', path: '/mcp', ...caller(token), method: 'tools/call', tool: 'getAccount',
      decision: 'allow', rule: 'enterprise-ledger.tools.getAccount',
      delegation: { token_id: claims.jti, scope: 'ledger:GetAccount', audience: LEDGER, lifetime_s: 5, actors: [GATEWAY], source: 'exchanged' },
      upstream_status: 200, status: 200 });
  });

  test('tells an exchange from the cache, under the same delegation', async () => {
    const token = mint();
    const post = () => recordOf(() => target.post(toolCall('listAccounts'), { token }));
    const seen = new Map();
    // Each worker has its own cache.
    const again = await until(async () => {
      const { delegation } = await post();
      if (delegation.source === 'cached') return delegation;
      seen.set(delegation.token_id, delegation);
      return undefined;
    }, 'a cached delegation');
    assert.ok(seen.has(again.token_id));
  });

  test('of a denied call says why, and has no delegation', async () => {
    const token = mint();
    const post = (name) => recordOf(() => target.post(toolCall(name), { token }));
    const about = (tool) => ({ http_method: 'POST', path: '/mcp', ...caller(token), method: 'tools/call', tool, decision: 'deny' });
    assertRecord(await post('getCustomerPII'), { ...about('getCustomerPII'), reason: 'insufficient_scope', rule: 'enterprise-ledger.tools.getCustomerPII', status: 403 });
    assertRecord(await post('dropAllAccounts'), { ...about('dropAllAccounts'), reason: 'no_rule', status: 200 });
  });

  test('carries a request id of our own, which a client cannot choose', async () => {
    const { request_id: id } = await recordOf(() => target.post(toolCall('dropAllAccounts'), { headers: [['x-request-id', 'chosen']] }));
    assert.match(id, /^[0-9a-f-]{36}$/);
  });

  test('of a refused request says what was wrong with it', async () => {
    const refused = { http_method: 'POST', path: '/mcp', decision: 'refuse' };
    const list = toolCall('listAccounts');
    const bad = mint({ aud: 'https://evil.example' });
    assertRecord(await recordOf(() => raw(target.port, { headers: [...JSON_HEADERS, ['content-length', 0]] })), { ...refused, reason: 'no_token', status: 401 });
    assertRecord(await recordOf(() => target.post(list, { token: bad })), { ...refused, token_id: fingerprint(bad), reason: 'wrong_audience', status: 401 });
    const elsewhere = await recordOf(() => target.post(list, { path: '/MCP?access_token=secret' }));
    assertRecord(elsewhere, { ...refused, path: '/MCP', reason: 'unknown_path', status: 404 });
    const token = mint();
    assertRecord(await recordOf(() => target.post('[]', { token })), { ...refused, ...caller(token), reason: 'batch', status: 400 });
    const metadata = await recordOf(() => raw(target.port, { method: 'GET', path: '/.well-known/oauth-protected-resource' }));
    assertRecord(metadata, { http_method: 'GET', path: '/.well-known/oauth-protected-resource', decision: 'serve', status: 200 });
  });

  test('L01: stays one line of JSON whatever it quotes', async () => {
    const forged = '\r\n[info] deputy.audit {"decision":"allow","tool":"forged"}\n';
    const nasty = [forged, '\x1b[31mred\x1b[0m', '\u2028\u2029', '\0', '\x7f\x9b', '\u202eevil', '"},{"', '\\', 'x'.repeat(10_240), 'é'.repeat(1_500)];
    const before = records().length;
    const statuses = [];
    for (const text of nasty) {
      const requests = [
        { token: mint({ sub: text.slice(0, 500) }) },
        { token: mint({ sub: SARAH.user, jti: text.slice(0, 500), client_id: text.slice(0, 20) }) },
        { body: toolCall(text) },
        { body: { ...toolCall('listAccounts'), id: text.slice(0, 200) } },
        ...['x-request-id', 'user-agent', 'mcp-session-id', 'origin'].map((name) => ({ headers: [[name, Buffer.from(text.replace(/[\0\r\n]/g, ' ')).toString('latin1')]] })),
        { path: `/mcp/${Buffer.from(text.replace(/[\s\0#]/g, '')).toString('latin1')}` },
      ];
      for (const { body = toolCall('listAccounts'), token = mint(), ...rest } of requests) statuses.push((await target.post(body, { token, ...rest }))?.status);
    }
    assert.ok(!statuses.some((status) => status >= 500), statuses.join());
    const inEnvoysHands = statuses.filter((status) => status === 400 || status === undefined).length;
    const left = await until(() => records().length >= before + statuses.length - inEnvoysHands && records().slice(before), 'the records');
    assert.ok(left.length <= statuses.length, 'and no forged one');
    assert.ok(!left.some(({ tool }) => tool === 'forged'));
    // A subject with control characters is not even believed; these are.
    for (const subject of ['\u2028\u2029', '\u202eevil', '"},{"', '\\', 'x'.repeat(256)]) assert.ok(left.some((record) => record.subject === subject), subject);
    for (const record of left) {
      for (const value of Object.values(record).filter((one) => typeof one === 'string')) assert.ok([...value].length <= 256, 'and cut');
    }
    const lines = target.envoyLog().split('\n').filter((line) => line.includes('deputy.audit {'));
    for (const line of lines) assert.doesNotMatch(line, /[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/);
  });

  test('L02: no token and no secret is in any log or dump', async () => {
    const sign = (token) => token.split('.')[2];
    const delegations = target.stack.ledgerRequests().map(({ token }) => token);
    assert.ok(delegations.length > 0);
    const { client_secret: secret } = readJson(target.stack.keys.gatewayClient);
    const dump = await (await fetch(`${target.stack.adminUrl}/config_dump?include_eds`)).text();
    for (const text of [target.envoyLog(), dump]) {
      for (const token of tokens) assert.ok(!text.includes(token) && (sign(token).length < 40 || !text.includes(sign(token))));
      assert.ok(!text.includes(secret) && !text.includes(encodeURIComponent(secret)) && !text.includes(btoa(`${GATEWAY}:${secret}`)));
      // By chance, what is random and public looks like the beginning of a JWS: an id of 32 bytes, a key's modulus.
      const ids = [...text.matchAll(/"token_id\\*":\\*"([\w-]{43})\\*"/g)].map(([, id]) => id);
      const moduli = readJson(target.stack.keys.jwks).keys.flatMap(({ n }) => n ?? []);
      assert.doesNotMatch([...ids, ...moduli].reduce((rest, known) => rest.replaceAll(known, ''), text), /eyJ[\w-]{20,}/);
    }
  });

  test('L02: a token without an id appears by a prefix of its SHA-256', async () => {
    const token = mint({ jti: undefined });
    await target.post(toolCall('dropAllAccounts'), { token });
    await target.record(({ token_id: id }) => id === fingerprint(token));
  });
});
