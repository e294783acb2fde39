// Sound JSON that is no plain request: one server would refuse it, another would do what it says.
import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';
import { JOHN, SARAH } from '../../../demo/people.mjs';
import { until } from '../../../demo/process.mjs';
import { current, toolCall } from '../support/client.mjs';
import { parse } from '../support/echo-server.mjs';
import { each, rowsOf } from '../support/tables.mjs';
import { assertDelegated, startTarget } from '../support/target.mjs';
import { ROWS } from './rows.mjs';

const row = rowsOf(ROWS);
const text = (message) => JSON.stringify({ jsonrpc: '2.0', id: 1, ...message });
const LIST = JSON.stringify(toolCall('listAccounts'));
const PII = JSON.stringify(toolCall('getCustomerPII', {}, 2));
const BEFORE_2026 = [undefined, '2025-03-26', '2025-06-18', '2025-11-25'];

describe('JSON-RPC', () => {
  let target;
  before(async () => { target = await startTarget({ echo: true, sessions: true }); });
  after(async () => {
    await target?.assertHealthy();
    await target?.stop();
  });

  const under = (revision, body, more = []) => ({ headers: target.headers([...(revision ? [['mcp-protocol-version', revision]] : []), ...more]), body });
  /** A request of the current revision; `edit` is given the text of its body. */
  const now = (method, params, edit = (body) => body) => {
    const { headers, body } = current(method, params);
    return { headers: target.headers(headers), body: edit(body) };
  };
  const refused = (status, code, ...bodies) => each(bodies, (body) => target.refuses(status, code, body));

  row('R01', async () => {
    const batches = [`[${LIST}]`, ` \r\n\t[${LIST},${PII}]`, `[${PII}]`, '[]', `[[${LIST}]]`, `[1,${LIST}]`];
    for (const revision of ['2025-06-18', '2025-11-25', '2026-07-28']) await each(batches, (batch) => target.refuses(400, -32600, under(revision, batch)));
    for (const revision of [undefined, '2025-03-26']) {
      // A batch of that revision is judged whole.
      await each([`[${LIST},${PII}]`, `[${PII},${LIST}]`, `[${PII}]`, `[${text({ method: 'ping', id: 3 })},${PII}]`], (batch) => target.refuses(403, 403, under(revision, batch)));
      await each([`[[${LIST}]]`, '[]', `[${LIST},${LIST}]`, `[1,${LIST}]`, `[${LIST},{"jsonrpc":"2.0","id":2,"result":{}}]`, `[${LIST},{}]`,
        `[${text({ method: 'initialize', params: {} })}]`, `[${Array.from({ length: 51 }, (_, id) => JSON.stringify(toolCall('listAccounts', {}, id)))}]`], (batch) => target.refuses(400, -32600, under(revision, batch)));
      await each([`[${LIST},${PII.replace('2.0"', '2.0","id":3')}]`, `[${LIST},${LIST}`], (batch) => target.refuses(400, -32700, under(revision, batch)));
      await target.passes('ledger:ListAccounts', under(revision, `[${LIST},${JSON.stringify(toolCall('listAccounts', { a: 1 }, 2))}]`));
    }
  });

  row('R03', async () => {
    const withoutId = (body) => body.replace('"id":1,', '');
    await each(['tools/call', 'tools/list', 'resources/read', 'ping', 'initialize'], (method) => refused(400, -32600, withoutId(text({ method, params: { name: 'listAccounts', uri: 'a' } }))));
    await target.refuses(400, -32600, now('tools/call', { name: 'listAccounts' }, withoutId));
    // And the other way round.
    await refused(404, -32601, text({ method: 'notifications/initialized' }), '{"jsonrpc":"2.0","method":"notifications/tools/call","params":{"name":"listAccounts"}}');
  });

  row('R04', async () => {
    const ids = ['null', '{}', '[]', '[1]', 'true', 'false', '{"id":1}'];
    await refused(400, -32600, ...ids.map((id) => LIST.replace('"id":1', `"id":${id}`)));
    await each(ids, (id) => target.refuses(400, -32600, now('tools/call', { name: 'listAccounts' }, (body) => body.replace('"id":1', `"id":${id}`))));
  });

  row('R05', async () => {
    const more = ['"result":{}', '"result":null', '"error":{"code":1,"message":"x"}', '"error":null', '"result":{},"error":{"code":1,"message":"x"}', '"result":"x"'];
    for (const one of more) {
      await refused(400, -32600, LIST.replace('{', `{${one},`), LIST.replace(/\}$/, `,${one}}`), text({ method: 'notifications/initialized' }).replace('"id":1', one));
      await target.refuses(400, -32600, now('tools/call', { name: 'listAccounts' }, (body) => body.replace('{', `{${one},`)));
      const session = await target.openSession();
      await target.refuses(400, -32600, under('2025-11-25', LIST.replace('{', `{${one},`), [['mcp-session-id', session]]));
    }
  });

  row('R06', async () => {
    const forbidden = [{ result: { action: 'accept', content: {} } }, { result: { roots: [] } }, { result: { role: 'assistant', content: {}, model: 'x' } }, { result: { tools: [] } }].map(text);
    const harmless = [{ result: {} }, { error: { code: 1, message: 'x' } }].map(text);
    const [sarahs, johns] = [await target.openSession(), await target.openSession(target.mint.token({ sub: JOHN.user }))];
    const inSession = (session, body, revision = '2025-11-25') => under(revision, body, [['mcp-session-id', session]]);
    await each([...forbidden, ...harmless], async (body) => {
      for (const revision of [...BEFORE_2026, '2026-07-28']) await target.refuses(400, -32600, under(revision, body));
      await target.refuses(400, -32600, inSession(sarahs, body, '2026-07-28'));
      await target.refuses(404, 404, inSession(johns, body));
    });
    // In her own session no rule lets her answer, but to a ping, and that she will not.
    await each(forbidden, (body) => target.refuses(202, undefined, inSession(sarahs, body)));
    await each(harmless, (body) => target.passes('ledger:Connect', inSession(sarahs, body)));
    await refused(400, -32600, ...['"result":1', '"result":{},"error":{"code":1,"message":"x"}', '"error":"x"'].map((one) => `{"jsonrpc":"2.0","id":1,${one}}`));
  });

  row('R07', () => refused(404, -32601, ...['tools/call ', ' tools/call', 'Tools/Call', 'TOOLS/CALL', '/tools/call', 'tools//call', 'tools/call/', 'tools/call\u0000', 'tools\u2215call', 'tools\\call', 'tools.call', 'tools/call\n',
    'tools/call?', 'tools/call;a', 'tools/ca\u217cl', 'tools/call\u200d', 'tools%2fcall', 'tools/./call', 'x/../tools/call', '', '*'].map((method) => text({ method, params: { name: 'listAccounts' } }))));

  row('R09', async () => {
    const params = ['["listAccounts",{}]', '["getCustomerPII",{}]', '[]', '"{\\"name\\":\\"listAccounts\\"}"', '1', 'true', 'null', '[{"name":"listAccounts"}]'];
    await each(params, (value) => refused(400, -32602, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${value}}`, `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":${value}}`));
    await refused(400, -32602, text({ method: 'tools/call' }), text({ method: 'tools/call', params: {} }), text({ method: 'tools/call', params: { params: { name: 'listAccounts' } } }),
      ...[['listAccounts'], { name: 'listAccounts' }, 1, null, true].map((name) => text({ method: 'tools/call', params: { name } })));
    await target.refuses(400, -32600, `{"jsonrpc":["2.0"],"id":1,"method":"ping"}`);
    await target.refuses(400, -32600, `{"jsonrpc":"2.0","id":1,"method":["tools/call"],"params":{"name":"listAccounts"}}`);
  });

  row('R10', async () => {
    await each(['"{}"', '[]', '["a"]', '1', 'true', '"a"'], (value) => refused(400, -32602, LIST.replace('"arguments":{}', `"arguments":${value}`)));
    await target.passes('ledger:ListAccounts', LIST.replace('"arguments":{}', '"arguments":null'));
    await target.passes('ledger:ListAccounts', LIST.replace(',"arguments":{}', ''));
  });

  row('R12', async () => {
    // Four requests of one id, from two people, are under way at once and answered in reverse.
    const held = [];
    target.echo.answer = (outgoing, request) => held.push([outgoing, request]);
    try {
      const asked = [SARAH, JOHN, SARAH, JOHN].map(({ user: sub }, number) => ({ sub, number, answer: target.post(toolCall('listAccounts', { sub, number }, 'same'), { token: target.mint.token({ sub }) }) }));
      await until(() => held.length === asked.length, 'the four');
      for (const [outgoing, request] of held.reverse()) {
        const message = parse(request.body);
        assertDelegated(request, message.params.arguments.sub, 'ledger:ListAccounts');
        outgoing.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result: message.params.arguments }));
      }
      for (const { sub, number, answer } of asked) assert.match((await answer).text, new RegExp(`"id":"same","result":{"sub":"${sub}","number":${number}}`));
    } finally {
      target.echo.answer = undefined;
      target.echo.take();
    }
  });

  row('R13', async () => {
    const known = [['resources/read', { uri: 'file:///etc/passwd' }], ['prompts/get', { name: 'getCustomerPII' }], ['completion/complete', { ref: { type: 'ref/prompt', name: 'getCustomerPII' }, argument: { name: 'a', value: '' } }],
      ['completion/complete', { ref: { type: 'ref/resource', uri: 'file:///{a}' }, argument: { name: 'a', value: '' } }]];
    const legacy = [['resources/subscribe', { uri: 'file:///etc/passwd' }], ['resources/unsubscribe', { uri: 'file:///etc/passwd' }]];
    const stateless = [['subscriptions/listen', { notifications: { resourceSubscriptions: ['file:///etc/passwd'] } }]];
    for (const revision of BEFORE_2026) {
      await each([...known, ...legacy], ([method, params]) => target.refuses(200, 403, under(revision, text({ method, params }))));
      await each(stateless, ([method, params]) => target.refuses(404, -32601, under(revision, text({ method, params }))));
    }
    await each([...known, ...stateless], ([method, params]) => target.refuses(200, 403, now(method, params)));
    await each([...legacy, ['initialize', {}], ['ping', {}], ['logging/setLevel', { level: 'debug' }]], ([method, params]) => target.refuses(404, -32601, now(method, params)));
    // What only servers send, and what nobody knows.
    await each(['sampling/createMessage', 'elicitation/create', 'roots/list', 'rpc.discover', 'x.y/z', 'tools/execute', 'tools/list_changed', 'notifications/x', 'io.example/tools/call'], async (method) => {
      await target.refuses(404, -32601, text({ method, params: { name: 'getCustomerPII' } }));
      await target.refuses(404, -32601, now(method, { name: 'getCustomerPII' }));
    });
    // A second name beside the one that counts says nothing to anyone; of a reference there is one.
    await target.refuses(403, 403, text({ method: 'tools/call', params: { name: 'getCustomerPII', uri: 'x', ref: { type: 'ref/prompt', name: 'listAccounts' } } }));
    await refused(400, -32602, ...[{ type: 'ref/prompt', name: 'a', uri: 'b' }, { type: 'ref/tool', name: 'a' }, { name: 'a' }, {}].map((ref) => text({ method: 'completion/complete', params: { ref } })));
    await each(['ping', 'tools/list', 'prompts/list', 'resources/list'], (method) => target.passes('ledger:Connect', text({ method })));
  });
});
