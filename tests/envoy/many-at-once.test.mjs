// Many callers at once, on shared connections, some of whom go away: nobody's call goes up under another's name.
import assert from 'node:assert/strict';
import http2 from 'node:http2';
import { after, before, describe, test } from 'node:test';
import { JOHN, SARAH } from '../../demo/people.mjs';
import { JSON_HEADERS, toolCall } from './support/client.mjs';
import { parse } from './support/echo-server.mjs';
import { random } from './support/garbage.mjs';
import { exchangeBytes } from './support/raw-http.mjs';
import { startTarget } from './support/target.mjs';
import { decode } from './support/tokens.mjs';

const SCOPES = { listAccounts: 'ledger:ListAccounts', getAccount: 'ledger:GetAccount', getTransactions: 'ledger:ListTransactions', getCustomerPII: 'ledger:ReadPII' };

describe('many at once', () => {
  let target;
  let callers;
  before(async () => {
    target = await startTarget({ echo: true });
    const caller = (sub, scope) => ({ sub, scope, token: target.mint.token({ sub, scope }) });
    callers = [...Array.from({ length: 6 }, () => caller(SARAH.user, 'mcp:connect pii:read')), ...Array.from({ length: 6 }, () => caller(JOHN.user, 'mcp:connect'))];
  });
  after(async () => {
    await target?.assertHealthy();
    await target?.stop();
  });

  const identity = ({ headers }) => decode(headers.find(([name]) => name === 'authorization')[1]);

  test('C03 C09: streams of one connection, a tenth of them broken off', async () => {
    const source = random(8693);
    const sessions = Array.from({ length: 3 }, () => http2.connect(`http://127.0.0.1:${target.port}`));
    const requests = Array.from({ length: 600 }, (_, id) => ({ id, caller: source.pick(callers), tool: source.pick(Object.keys(SCOPES)), session: source.pick(sessions), cut: source.below(10) === 0 }));
    const statuses = await Promise.all(requests.map(({ id, caller, tool, session, cut }) => new Promise((resolve) => {
      const stream = session.request({ ':method': 'POST', ':path': '/mcp', ...Object.fromEntries(JSON_HEADERS), authorization: `Bearer ${caller.token}` });
      let status;
      stream.on('response', (headers) => { status = headers[':status']; });
      stream.on('error', () => {});
      stream.on('close', () => resolve(status));
      stream.resume();
      stream.end(JSON.stringify(toolCall(tool, { caller: caller.sub }, id)));
      if (cut) setTimeout(() => stream.close(http2.constants.NGHTTP2_CANCEL), source.below(20));
    })));
    sessions.forEach((session) => session.destroy());

    for (const [i, { caller, tool, cut }] of requests.entries()) {
      if (!cut) assert.equal(statuses[i], tool === 'getCustomerPII' && caller.sub === JOHN.user ? 403 : 200);
    }
    const executed = target.echo.take();
    assert.ok(executed.length > 300);
    for (const request of executed) {
      const { name, arguments: { caller } } = parse(request.body).params;
      const { sub, scope } = identity(request);
      assert.deepEqual([sub, scope], [caller, SCOPES[name]]);
    }
  });

  test('requests one behind the other on one HTTP/1.1 connection', async () => {
    const request = ({ sub, token }, tool, close) => {
      const body = JSON.stringify(toolCall(tool, { caller: sub }));
      return ['POST /mcp HTTP/1.1', 'host: gateway', ...JSON_HEADERS.map(([name, value]) => `${name}: ${value}`), `authorization: Bearer ${token}`,
        `content-length: ${body.length}`, ...(close ? ['connection: close'] : []), '', body].join('\r\n');
    };
    const [sarah, john] = [callers[0], callers.at(-1)];
    await exchangeBytes(target.port, [request(sarah, 'getAccount') + request(john, 'listAccounts') + request(sarah, 'getCustomerPII') + request(john, 'getAccount', true)], { seconds: 3, answers: 4 });
    const executed = target.echo.take().map((one) => [parse(one.body).params.arguments.caller, identity(one).sub, identity(one).scope]);
    assert.deepEqual(executed, [[sarah.sub, sarah.sub, 'ledger:GetAccount'], [john.sub, john.sub, 'ledger:ListAccounts'],
      [sarah.sub, sarah.sub, 'ledger:ReadPII'], [john.sub, john.sub, 'ledger:GetAccount']]);
  });
});
