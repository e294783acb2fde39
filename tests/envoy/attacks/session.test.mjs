// Rows S: sessions of a stateful MCP server, in the hands of those whose they are not.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { JOHN, SARAH } from '../../../demo/people.mjs';
import { until } from '../../../demo/process.mjs';
import { JSON_HEADERS } from '../support/client.mjs';
import { PROTOCOLS } from '../support/protocols.mjs';
import { raw } from '../support/raw-http.mjs';
import { INITIALIZE, KEYS, PING, initialize, keysFrom, send } from '../support/sessions.mjs';
import { startStatefulServer } from '../support/stateful-server.mjs';
import { each } from '../support/tables.mjs';
import { startTarget } from '../support/target.mjs';
import { inSeconds } from '../support/tokens.mjs';

const WAIT = { message: { id: 7, method: 'tools/call', params: { name: 'getTransactions', arguments: {} } } };
const notification = (method, params) => ({ message: { id: undefined, method: `notifications/${method}`, params } });
const CANCEL = notification('cancelled', { requestId: 7 });
const PROGRESS = notification('progress', { progressToken: 7, progress: 1 });

describe('the sessions of a stateful server', () => {
  let server;
  let target;
  before(async () => {
    server = await startStatefulServer();
    const set = { sessions: keysFrom('DEPUTY_SESSION_KEY'), 'issuers[0].leeway': '1s' };
    target = await startTarget({ upstream: server, gateway: { set, env: KEYS } });
  });
  after(() => target?.stop());

  const tokenOf = ({ user: sub }, changes) => target.mint.token({ sub, ...changes });
  const request = (...args) => send(target.stack, ...args);
  /** A session of Sarah's: as she knows it, and as the server does. */
  async function open(token = tokenOf(SARAH)) {
    const { session } = await initialize(target.stack, token);
    return { session, own: server.sessions.at(-1) };
  }
  const others = () => ({
    'another user': tokenOf(JOHN),
    'her other client': tokenOf(SARAH, { client_id: 'another-client' }),
    'her, without a client': tokenOf(SARAH, { client_id: undefined }),
    'a user whose name ends with hers': tokenOf({ user: `x${SARAH.user}` }),
    'a user of her name in capitals': tokenOf({ user: SARAH.user.toUpperCase() }),
    'a user and client that read alike together': tokenOf(SARAH, { sub: `${SARAH.user}m`, client_id: 'cp-client-cli' }),
  });
  /** Runs `attempts`, none of which the server may hear of. */
  async function unheard(attempts) {
    const before = server.requests.length;
    await attempts();
    assert.deepEqual(server.requests.slice(before), []);
  }
  const recorded = (reason) => target.record((record) => record.reason === reason);

  for (const [protocol, over] of Object.entries(PROTOCOLS)) {
    test(`S01: nobody calls in, ends or takes over the session of another, over ${protocol}`, async () => {
      const { session } = await open();
      await unheard(() => each(Object.entries(others()), async ([, token]) => {
        const headers = { ...Object.fromEntries(JSON_HEADERS), authorization: `Bearer ${token}`, 'mcp-session-id': session };
        for (const [method, message] of [['POST', PING.message], ['POST', WAIT.message], ['POST', INITIALIZE], ['POST', { result: {} }], ['DELETE']]) {
          const answer = await over(target.port, { method, headers, body: message && JSON.stringify({ jsonrpc: '2.0', id: 1, ...message }) });
          assert.equal(answer.status, 404, method);
          assert.equal(answer.headers.get('mcp-session-id'), null);
        }
      }));
      await recorded('foreign_session');
      assert.equal((await request('POST', tokenOf(SARAH), session, PING)).status, 200, 'her own goes on');
      assert.equal((await request('DELETE', tokenOf(SARAH), session)).status, 200, 'and ends');
    });

    test(`S02: nobody listens in the session of another, nor asks for its events again, over ${protocol}`, async () => {
      const { session, own } = await open();
      const listen = async (token, headers) => (await over(target.port, { method: 'GET', headers: { authorization: `Bearer ${token}`, accept: 'text/event-stream', ...headers } })).status;
      await unheard(async () => {
        await each(Object.entries(others()), async ([, token]) => {
          for (const id of [session, own, 'x']) {
            assert.equal(await listen(token, { 'mcp-session-id': id }), 404);
            assert.equal(await listen(token, { 'mcp-session-id': id, 'last-event-id': '1' }), 404);
          }
        });
        await each(['1', '', session, `${own}_1`, 'é'], async (event) => assert.equal(await listen(tokenOf(JOHN), { 'last-event-id': Buffer.from(event).toString('latin1') }), 403));
      });
      await recorded('missing_session');
    });
  }

  test('S01: what is no session that this gateway sealed is none, even in the hands of its user', async () => {
    const [{ session, own }, { session: other }] = [await open(), await open()];
    const [[id, seal], [otherId]] = [session.split('.'), other.split('.')];
    const flipped = seal.replace(/^./, (letter) => (letter === 'A' ? 'B' : 'A'));
    const token = tokenOf(SARAH);
    const authorized = [...JSON_HEADERS, ['authorization', `Bearer ${token}`]];
    const ping = JSON.stringify({ jsonrpc: '2.0', id: 1, ...PING.message });
    const ask = (headers, path) => raw(target.port, { path, headers: [...authorized, ...headers, ['content-length', ping.length]], body: ping });
    await unheard(() => each([
      ['the id of the server itself', own], ['the id, unsealed', id], ['the seal alone', `.${seal}`], ['the seal of another', `${otherId}.${seal}`], ['another seal', `${id}.${flipped}`],
      ['a short seal', `${id}.${seal.slice(0, -1)}`], ['a long seal', `${session}A`], ['padding', `${id}=.${seal}=`], ['a second seal', `${session}.${seal}`], ['an empty id', `.${seal}`],
      ['empty', ''], ['in capitals', session.toUpperCase()], ['two in one', `${session}, ${session}`], ['quoted', `"${session}"`], ['huge', `${'A'.repeat(20_000)}.${seal}`], ['not ASCII',
      '\xff\xfe.\xe9'],
    ], async ([, value]) => assert.equal((await ask([['mcp-session-id', value]])).status, 404)));
    await unheard(async () => {
      for (const [first, second] of [[session, session], [session, own], [own, session]]) assert.equal((await ask([['Mcp-Session-Id', first], ['mcp-session-id', second]])).status, 404);
    });
    for (const reason of ['malformed_session', 'foreign_session']) await recorded(reason);
    // Where no header names it, it is none: the server answers as to anybody without one.
    for (const path of [`/mcp?sessionId=${own}`, `/mcp?mcp-session-id=${session}`]) assert.equal((await ask([], path)).status, 400);
    assert.equal(server.requests.at(-1).session, undefined);
    assert.equal((await ask([['MCP-SESSION-ID', session]])).status, 200, 'a header of the same name');
  });

  test('S04: a token that expires ends the streams under it and opens nothing more, though the session goes on', async () => {
    const { session } = await open();
    const exp = inSeconds(3);
    const shortLived = tokenOf(SARAH, { exp });
    assert.equal((await request('POST', shortLived, session, PING)).status, 200);
    const [listening, calling] = await Promise.all([request('GET', shortLived, session), request('POST', shortLived, session, WAIT)]);
    for (const stream of [listening, calling]) assert.deepEqual([stream.status, stream.headers.get('content-type')], [200, 'text/event-stream']);
    await Promise.all([listening, calling].map(async (stream) => {
      await assert.rejects(stream.text());
      assert.ok(Date.now() >= exp * 1000, 'no earlier than it expires');
    }));
    const expired = await target.record(({ reason, http_method: method }) => reason === 'token_expired' && method === 'GET');
    assert.deepEqual([expired.decision, expired.subject], ['allow', SARAH.user]);
    await target.record(({ reason, http_method: method }) => reason === 'token_expired' && method === 'POST');

    await unheard(() => each([['POST', PING], ['POST', WAIT], ['POST', CANCEL], ['GET'], ['GET', { headers: { 'last-event-id': '1' } }], ['DELETE']], async ([method, more]) => {
      const answer = await request(method, shortLived, session, more);
      assert.equal(answer.status, 401);
      assert.match(answer.headers.get('www-authenticate'), /^Bearer error="invalid_token"/);
      // No session stands in for a token.
      const headers = { ...Object.fromEntries(JSON_HEADERS), 'mcp-session-id': session };
      assert.equal((await fetch(target.stack.gatewayUrl, { method, headers, ...(method === 'POST' && { body: JSON.stringify(more.message) }) })).status, 401);
    }));
    assert.equal((await request('POST', tokenOf(SARAH), session, PING)).status, 200);
    server.waiting.splice(0);
  });

  test('S09: nobody cancels what another called, nor tells of its progress', async () => {
    const { session, own } = await open();
    const pending = await request('POST', tokenOf(SARAH), session, WAIT);
    const [waiting] = await until(() => server.waiting.length && server.waiting, 'the call');
    assert.equal(waiting.session, own);
    const john = tokenOf(JOHN);
    const his = await open(john);
    const heard = server.heard.length;
    for (const message of [CANCEL, PROGRESS]) {
      // The same request id, in the session where he may: it is about his own requests.
      assert.equal((await request('POST', john, his.session, message)).status, 202);
      await unheard(async () => {
        for (const id of [session, own]) assert.equal((await request('POST', john, id, message)).status, 404);
      });
      // Without a session nothing says whose requests it tells of.
      await unheard(async () => assert.equal((await request('POST', john, undefined, message)).status, 202));
    }
    assert.deepEqual(server.heard.slice(heard).map(({ session: of, method }) => [of, method]), [[his.own, 'notifications/cancelled'], [his.own, 'notifications/progress']]);
    assert.equal(waiting.cancelled, false);
    waiting.release();
    assert.match(await pending.text(), /released/);

    await request('POST', tokenOf(SARAH), session, { message: { ...WAIT.message, id: 8 } });
    const mine = await until(() => server.waiting.find(({ id }) => id === 8), 'the call');
    assert.equal((await request('POST', tokenOf(SARAH), session, notification('cancelled', { requestId: 8 }))).status, 202);
    await until(() => mine.cancelled, 'the cancellation of her own');
  });
});
