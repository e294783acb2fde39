// What a rule redacts reaches no client, by whichever way the MCP server tells it.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../demo/process.mjs';
import { startScriptedServer } from './support/scripted-server.mjs';
import { each } from './support/tables.mjs';
import { startTarget } from './support/target.mjs';

const POLICY = `
audience: https://enterprise-ledger.orchestrator.lab/
baseline: {delegation: {scope: "ledger:Connect"}}
tools:
  getCustomerPII:
    - require: {scopes: ["pii:read"]}
      delegation: {scope: "ledger:ReadPII"}
    - redact: [ssn, dateOfBirth]
      delegation: {scope: "ledger:GetAccount"}
  listAccounts:
    delegation: {scope: "ledger:ListAccounts"}
`;

const SSN = '078-05-1120';
const CUSTOMER = { name: 'Sarah', balance: 1.5, ssn: SSN, history: [{ dateOfBirth: { year: 1984 } }] };
const REDACTED = { name: 'Sarah', balance: 1.5, ssn: '[redacted]', history: [{ dateOfBirth: null }] };
const TEXT = { type: 'text', text: '[redacted]' };

const text = (value) => ({ type: 'text', text: typeof value === 'string' ? value : JSON.stringify(value) });
const answered = (body) => ({ jsonrpc: '2.0', id: 1, ...body });
/** As deep as may be, three times. */
const nested = (value) => [1, 2, 3].reduce((inner) => `${'['.repeat(60)}${JSON.stringify(inner)}${']'.repeat(60)}`, value);
const result = (members) => answered({ result: members });

/** Messages of the server's, with what the client is to see of each. */
const MESSAGES = [
  ['structuredContent and its text',
    result({ structuredContent: CUSTOMER, content: [text(CUSTOMER)] }), result({ structuredContent: REDACTED, content: [text(REDACTED)] })],
  ['JSON in JSON in text', result({ content: [text({ body: JSON.stringify([CUSTOMER]) })] }), result({ content: [text({ body: JSON.stringify([REDACTED]) })] })],
  ['free text', result({ content: [text(`The SSN is ${SSN}.`)] }), result({ content: [TEXT] })],
  ['_meta', result({ content: [], _meta: { 'example/customer': CUSTOMER } }), result({ content: [], _meta: { 'example/customer': REDACTED } })],
  ['a resource', result({ content: [{ type: 'resource', resource: { uri: 'a:b', text: JSON.stringify(CUSTOMER) } }] }),
    result({ content: [{ type: 'resource', resource: { uri: 'a:b', text: JSON.stringify(REDACTED) } }] })],
  ['a blob', result({ contents: [{ uri: 'a:b', blob: btoa(SSN) }] }), result({ contents: [{ uri: 'a:b', blob: btoa('[redacted]') }] })],
  ['an image', result({ content: [{ type: 'image', data: btoa(SSN), mimeType: 'image/png' }] }), result({ content: [TEXT] })],
  ['error.data', answered({ error: { code: -32000, message: `no ${SSN}`, data: CUSTOMER } }),
    answered({ error: { code: -32000, message: '[redacted]', data: REDACTED } })],
  ['error.data that is text', answered({ error: { code: -32000, message: '', data: SSN } }), answered({ error: { code: -32000, message: '', data: '[redacted]' } })],
];
const notification = (method, params) => ({ jsonrpc: '2.0', method: `notifications/${method}`, params });
const NOTIFICATIONS = [
  ['a log message', notification('message', { level: 'info', data: CUSTOMER }), notification('message', { level: 'info', data: REDACTED })],
  ['a log message that is text', notification('message', { level: 'info', data: SSN }), notification('message', { level: 'info', data: '[redacted]' })],
  ['progress', notification('progress', { progress: 1, message: SSN }), notification('progress', { progress: 1, message: '[redacted]' })],
];

describe('what a rule redacts', () => {
  let server;
  let target;
  let stack;
  let mint;
  before(async () => {
    server = await startScriptedServer();
    target = await startTarget({ upstream: server, sessions: true, policy: () => POLICY });
    ({ stack, mint } = target);
  });
  after(() => target?.stop());

  const send = (method, { message, scope = 'mcp:connect', headers } = {}) => fetch(stack.gatewayUrl, {
    method,
    headers: { authorization: `Bearer ${mint.token({ scope })}`, 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    body: message && JSON.stringify({ jsonrpc: '2.0', id: 1, ...message }),
  });
  const ask = (scope, name = 'getCustomerPII') => send('POST', { message: { method: 'tools/call', params: { name } }, scope });
  const answer = (body, type = 'application/json', headers = {}) => {
    server.answer = (outgoing) => outgoing.writeHead(200, { 'content-type': type, ...headers }).end(body);
  };
  const events = (messages) => messages.map((message, id) => `id: ${id}\ndata: ${JSON.stringify(message)}\n\n`).join('');
  const read = (stream) => [...stream.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data));
  const recorded = (find) => until(() => stack.auditRecords().find(find), 'the audit record');

  test('P17: is in no place of an answer in JSON', () => each(MESSAGES, async ([, sent, expected]) => {
    const body = JSON.stringify(sent);
    answer(body, 'application/json', { etag: '"1"', 'content-length': body.length });
    const response = await ask();
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('etag'), null);
    assert.deepEqual(await response.json(), expected);
    answer(body);
    assert.equal(await (await ask('mcp:connect pii:read')).text(), body, 'and who has the scope sees all');
  }));

  test('P17: is in no event of a stream', async () => {
    const all = [...NOTIFICATIONS, ...MESSAGES];
    const stream = events(all.map(([, sent]) => sent));
    server.answer = async (outgoing) => {
      outgoing.writeHead(200, { 'content-type': 'text/event-stream' });
      outgoing.write(stream.slice(0, 700));
      await sleep(50);
      outgoing.end(stream.slice(700));
    };
    assert.deepEqual(read(await (await ask()).text()), all.map(([, , expected]) => expected));
    assert.equal(await (await ask('mcp:connect pii:read')).text(), stream);
    assert.equal(await (await ask(undefined, 'listAccounts')).text(), stream, 'a rule without redaction costs nothing');
  });

  test('P17: is in no replay on a GET stream, whoever asks', async () => {
    server.answer = (outgoing) => outgoing.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 's-1' }).end(JSON.stringify(result({})));
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
    const session = (await send('POST', { message: { method: 'initialize', params } })).headers.get('mcp-session-id');
    const all = [...NOTIFICATIONS, ...MESSAGES];
    answer(events(all.map(([, sent]) => sent)), 'text/event-stream');
    for (const scope of ['mcp:connect', 'mcp:connect pii:read']) {
      const response = await send('GET', { scope, headers: { 'mcp-session-id': session, 'last-event-id': '0' } });
      assert.equal(response.status, 200);
      assert.deepEqual(read(await response.text()), all.map(([, , expected]) => expected));
    }
  });

  test('P17: is counted in the audit record', async () => {
    answer(JSON.stringify(result({ structuredContent: CUSTOMER, content: [text(CUSTOMER)] })));
    await (await ask('mcp:connect audit:read')).text();
    const record = await recorded(({ redacted }) => redacted === 4);
    assert.equal(record.rule, 'enterprise-ledger.tools.getCustomerPII[1]');
  });

  test('P17 P18: what cannot be read is not passed', () => each([
    ['text', SSN, 'text/plain', {}, 'media_type'],
    ['without a type', SSN, undefined, {}, 'media_type'],
    ['compressed', SSN, 'application/json', { 'content-encoding': 'gzip' }, 'content_encoding'],
    ['no JSON', SSN, 'application/json', {}, 'not_a_message'],
    ['JSON with more behind it', `{"result":{}}${SSN}`, 'application/json', {}, 'json_syntax'],
    ['a name twice', `{"result":{"a":{"ssn":"${SSN}","ssn":1}}}`, 'application/json', {}, 'json_duplicate_member'],
    ['a name twice, case aside', `{"result":{"a":{"SSN":"${SSN}","ssn":1}}}`, 'application/json', {}, 'json_duplicate_member'],
    ['too deep', `{"result":{"a":${'['.repeat(70)}${']'.repeat(70)}}}`, 'application/json', {}, 'json_too_deep'],
  ], async ([, body, type, headers, detail]) => {
    server.answer = (outgoing) => outgoing.writeHead(200, { ...type && { 'content-type': type }, ...headers }).end(body);
    const response = await ask();
    assert.equal(response.status, 502);
    assert.doesNotMatch(await response.text(), /078/);
    await recorded((record) => record.reason === 'unfilterable_response' && record.detail === detail);
  }));

  test('P17: of an error that cannot be read, the status passes alone: a server without streams stays one', async () => {
    for (const headers of [{ 'content-type': 'text/plain' }, {}]) {
      server.answer = (outgoing) => outgoing.writeHead(405, headers).end(`no stream for ${SSN}`);
      const response = await send('GET');
      assert.equal(response.status, 405);
      assert.equal(await response.text(), '');
    }
  });

  test('P18: names are found as every parser reads them, and the rest stays byte for byte', () => each([
    [`{"s\\u0073n":"${SSN}"}`, '{"s\\u0073n":"[redacted]"}'],
    [`{"SSN":"${SSN}"}`, '{"SSN":"[redacted]"}'],
    [`[[{"a":[{"ssn" : "${SSN}"}]}]]`, '[[{"a":[{"ssn" : "[redacted]"}]}]]'],
    ['{"ssn":7805112012345678901234567890,"n":7805112012345678901234567890, "m":1.10}', '{"ssn":null,"n":7805112012345678901234567890, "m":1.10}'],
    [nested(`{"ssn":"${SSN}"}`), nested('{"ssn":"[redacted]"}')],
  ], async ([data, expected]) => {
    const members = (of) => `{"jsonrpc":"2.0","id":1,"result":{"structuredContent":${of},"content":[{"type":"text","text":${JSON.stringify(of)}}]}}`;
    answer(members(data));
    assert.equal(await (await ask()).text(), members(expected));
  }));

  test('P18: ambiguous JSON ends a stream that has begun', async () => {
    const begun = Promise.withResolvers();
    const [good, bad] = [JSON.stringify(result({ ssn: SSN })), `{"result":{"ssn":"${SSN}","Ssn":"${SSN}"}}`];
    server.answer = async (outgoing) => {
      outgoing.writeHead(200, { 'content-type': 'text/event-stream' });
      outgoing.write(`data: ${good}\n\n`);
      await begun.promise;
      outgoing.write(`data: ${bad}\n\n`);
    };
    const texts = [];
    const response = await ask();
    await assert.rejects(async () => {
      for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
        texts.push(text);
        begun.resolve();
      }
    });
    assert.match(texts[0], /\[redacted\]/);
    assert.doesNotMatch(texts.join(''), /078/);
  });

  test('an answer of several megabytes is held whole; over the limit it fails', async () => {
    const rows = (count, customer) => JSON.stringify(result({ structuredContent: { rows: Array.from({ length: count }, () => customer) } }));
    const body = rows(20_000, { ssn: '', padding: 'x'.repeat(150) });
    assert.ok(body.length > 3_000_000);
    answer(body);
    const response = await ask();
    assert.equal(await response.text(), rows(20_000, { ssn: '[redacted]', padding: 'x'.repeat(150) }), 'also when it grows');
    answer(rows(50_000, { ssn: SSN, padding: 'x'.repeat(150) }));
    await assert.rejects(async () => (await ask()).text(), TypeError);
    await recorded((record) => record.detail === 'value_too_large');
  });
});
