// How a body arrives must not matter, and what is no plain JSON message must not go up. Behind the gateway stands an
// upstream that would believe anything.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, afterEach, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { call, each, JSON_HEADERS, startTarget, until } from './support/attacks.mjs';
import { request2 } from './support/http2.mjs';
import { exchangeFrames } from './support/http2-frames.mjs';
import { chunked, exchangeBytes, raw } from './support/raw-http.mjs';

const LIST = JSON.stringify(call('listAccounts'));
const MULTIBYTE = JSON.stringify(call('getAccount', { accountId: 'é漢😀' }));
const LIMIT = 1_048_576;

describe('bodies', () => {
  let target;
  let token;
  let authorized;
  before(async () => {
    target = await startTarget({ echo: true, gateway: { set: { 'limits.decision_time': '3s' } } });
    token = target.mint.token();
    authorized = [...JSON_HEADERS, ['authorization', `Bearer ${token}`]];
  });
  after(async () => {
    await target?.assertHealthy();
    await target?.stop();
  });
  afterEach(() => assert.deepEqual(target.echo.take(), [], 'nothing else reached the upstream'));

  const sent = () => target.echo.take().map(({ body }) => body.toString());
  const headers2 = (more = {}) => ({ ...Object.fromEntries(authorized), ...more });
  const chunkedHeaders = () => [...authorized, ['transfer-encoding', 'chunked']];

  describe('arrive in any way', () => {
    test('T06: chunked, byte by byte, through the middle of characters', async () => {
      const bytes = Buffer.from(MULTIBYTE);
      const answer = await raw(target.port, { headers: chunkedHeaders(), body: chunked(Array.from(bytes, (byte) => Buffer.from([byte]))) });
      assert.deepEqual([answer.status, sent()], [200, [MULTIBYTE]]);
    });

    test('T06: in packets with pauses between', async () => {
      const parts = Array.from(LIST.match(/.{1,9}/g), (part) => [part, 5]).flat();
      const answer = await raw(target.port, { headers: [...authorized, ['content-length', LIST.length]], body: parts });
      assert.deepEqual([answer.status, sent()], [200, [LIST]]);
    });

    test('T11: after 100-continue', async () => {
      const head = ['POST /mcp HTTP/1.1', `host: 127.0.0.1:${target.port}`, ...authorized.map(([name, value]) => `${name}: ${value}`),
        'expect: 100-continue', `content-length: ${LIST.length}`, 'connection: close', '', ''].join('\r\n');
      const answers = await exchangeBytes(target.port, [head, 200, LIST]);
      assert.deepEqual([answers.map(({ status }) => status), sent()], [[100, 200], [LIST]]);
    });

    test('T06: in HTTP/2 frames of one byte, ended by the last or by an empty one', async () => {
      const pieces = Array.from(Buffer.from(MULTIBYTE), (byte) => Buffer.from([byte]));
      for (const emptyEnd of [false, true]) {
        const answer = await request2(target.port, { headers: headers2(), pieces, emptyEnd });
        assert.deepEqual([answer.status, sent()], [200, [MULTIBYTE]]);
      }
    });

    test('T08: ended by trailers, which say nothing to anyone', async () => {
      const trailers = { authorization: `Bearer ${target.mint.token({ scope: 'mcp:connect pii:read' })}`, 'x-mcp-user': 'root' };
      const answer = await request2(target.port, { headers: headers2(), pieces: [LIST], trailers });
      assert.equal(answer.status, 200);
      assert.deepEqual(target.echo.take().map((request) => [request.body.toString(), request.trailers]), [[LIST, []]]);

      const chunkedAnswer = await raw(target.port, { headers: chunkedHeaders(), body: chunked([LIST], Object.entries(trailers)) });
      assert.equal(chunkedAnswer.status, 200);
      assert.deepEqual(target.echo.take().map((request) => request.trailers), [[]]);
    });

    test('T08: a token in the trailers is no token, and raises nobody', async () => {
      const trailers = { authorization: `Bearer ${target.mint.token({ scope: 'mcp:connect pii:read' })}` };
      const none = await request2(target.port, { headers: Object.fromEntries(JSON_HEADERS), pieces: [LIST], trailers });
      assert.equal(none.status, 401);
      const pii = await request2(target.port, { headers: headers2(), pieces: [JSON.stringify(call('getCustomerPII'))], trailers });
      assert.equal(pii.status, 403);
    });
  });

  describe('too much', () => {
    const big = (length) => Buffer.from(JSON.stringify(call('listAccounts', { a: '' })).replace('""', `"${'a'.repeat(length)}"`));

    test('J25: a large body within the limit passes, on both HTTP versions', async () => {
      const body = big(900_000);
      assert.equal((await target.post(body)).status, 200);
      assert.ok(target.echo.take()[0].body.equals(body));
      assert.equal((await request2(target.port, { headers: headers2(), pieces: [body] })).status, 200);
      assert.ok(target.echo.take()[0].body.equals(body));
    });

    test('J25: over the limit is 413, announced or not', async () => {
      for (const length of [LIMIT + 1, 3 * LIMIT]) {
        const body = big(length);
        const announced = await target.post(body);
        assert.equal(announced?.status, 413);
        const unannounced = await raw(target.port, { headers: chunkedHeaders(), body: chunked([body.subarray(0, LIMIT), body.subarray(LIMIT)]) });
        assert.equal(unannounced?.status, 413);
        const frames = await request2(target.port, { headers: headers2(), pieces: [body] });
        assert.equal(frames.status ?? 413, 413);
      }
    });

    test('J20 J25: deep, wide and long JSON is refused within bounds', async () => {
      const inside = (text) => LIST.replace('"arguments":{}', `"arguments":{"a":${text}}`);
      const members = Array.from({ length: 60_000 }, (_, i) => `"k${i}":0`).join();
      await each([['deep', '['.repeat(400_000)], ['deep and closed', '['.repeat(200_000) + ']'.repeat(200_000)], ['deep objects', '{"a":'.repeat(150_000)],
        ['wide', `{${members}}`], ['long', `[${'0,'.repeat(400_000)}0]`]], async ([, text]) => {
        const answer = await target.post(inside(text));
        assert.equal(answer.status, 400);
      });
    });
  });

  describe('that contradict themselves', () => {
    const fields = (...more) => [[':method', 'POST'], [':path', '/mcp'], [':scheme', 'http'], [':authority', 'gateway'], ...authorized, ...more];

    test('T11: HTTP/2 with the content length that it has, and with another', async () => {
      const right = await exchangeFrames(target.port, { fields: fields(['content-length', `${LIST.length}`]), pieces: [LIST] });
      assert.deepEqual([right.reset, sent()], [false, [LIST]]);
      for (const length of [LIST.length - 1, LIST.length + 1, 0, -1, `${LIST.length}, 3`, '0x10']) {
        const { reset, text } = await exchangeFrames(target.port, { fields: fields(['content-length', `${length}`]), pieces: [LIST] });
        assert.ok(reset || JSON.parse(text).error, `${length}: ${text}`);
        assert.deepEqual(sent(), []);
      }
      const twice = await exchangeFrames(target.port, { fields: fields(['content-length', `${LIST.length}`], ['content-length', '3']), pieces: [LIST] });
      assert.ok(twice.reset);
    });

    test('T11: HTTP/2 with HTTP/1.1 framing or capitals in a name', async () => {
      await each([['transfer-encoding', 'chunked'], ['connection', 'keep-alive'], ['Content-Type', 'text/plain'], ['x\r\ny', 'z'], ['x-a', 'b\r\nx-mcp-user: root']], async (field) => {
        const { reset, text } = await exchangeFrames(target.port, { fields: fields(field), pieces: [LIST] });
        assert.ok(reset, text);
      });
    });

    test('T11: HTTP/1.1 with two framings', async () => {
      const smuggled = `POST /mcp HTTP/1.1\r\nhost: x\r\ncontent-length: ${LIST.length}\r\n\r\n${LIST}`;
      const attempts = {
        'length and chunked': [['content-length', '5'], ['transfer-encoding', 'chunked']],
        'chunked twice': [['transfer-encoding', 'chunked'], ['transfer-encoding', 'chunked']],
        'chunked not last': [['transfer-encoding', 'chunked, gzip']],
        'chunked, nearly': [['transfer-encoding', 'xchunked'], ['content-length', '5']],
        'two lengths': [['content-length', `${LIST.length}`], ['content-length', '3']],
        'a signed length': [['content-length', `+${LIST.length}`]],
        'a length with a comma': [['content-length', `${LIST.length}, 3`]],
        'a space before the colon': [['transfer-encoding ', 'chunked'], ['content-length', '5']],
      };
      await each(Object.entries(attempts), async ([, framing]) => {
        const answer = await raw(target.port, { headers: [...authorized, ...framing], body: [...chunked([LIST]), smuggled] });
        assert.ok(answer === undefined || (answer.status >= 400 && answer.status < 600), `${answer?.status}`);
        assert.deepEqual(sent(), []);
      });
    });

    test('T11: obsolete folding, upgrades and CONNECT', async () => {
      const upgrade = (protocol) => [...authorized, ['connection', 'upgrade'], ['upgrade', protocol], ['content-length', LIST.length]];
      await each(['websocket', 'h2c', 'TLS/1.2'], async (protocol) => {
        const answer = await raw(target.port, { headers: upgrade(protocol), body: LIST, close: false });
        const requests = target.echo.take();
        assert.notEqual(answer?.status, 101);
        assert.ok(requests.every(({ headers }) => !headers.some(([name]) => name === 'upgrade')));
      });
      const folded = await raw(target.port, { headers: [['authorization', `Bearer\r\n ${token}`], ...JSON_HEADERS, ['content-length', LIST.length]], body: LIST });
      // RFC 9112 section 5.2: refused, or the fold is a space before anyone judges it.
      if (folded?.status === 200) assert.ok(target.echo.take().every(({ headers }) => !JSON.stringify(headers).includes(token)));
      const tunnel = await raw(target.port, { method: 'CONNECT', path: target.echo.address, headers: authorized });
      assert.ok(tunnel === undefined || tunnel.status >= 400);
    });
  });

  describe('that are no plain JSON message', () => {
    const refused = async (status, code, body, headers = authorized) => {
      const bytes = Buffer.from(body, 'latin1');
      const answer = await raw(target.port, { headers: [...headers, ['content-length', bytes.length]], body: bytes });
      assert.deepEqual([answer.status, JSON.parse(answer.text).error.code], [status, code]);
    };
    const withHeaders = (...more) => [authorized[2], ...more];

    test('T04 T05: compressed, whether it says so or not', async () => {
      const packed = gzipSync(LIST).toString('latin1');
      for (const encoding of ['gzip', 'deflate', 'br', 'zstd', 'x-gzip', 'gzip, identity']) await refused(415, 415, packed, [...authorized, ['content-encoding', encoding]]);
      await refused(400, -32700, packed);
    });

    test('J13 T01 T02 T03: another content type', async () => {
      await refused(415, 415, LIST, withHeaders());
      const types = ['text/plain', '', 'application/json-rpc', 'application/vnd.x+json', 'text/plain; a=application/json', 'application/jsonp',
        'application/json, text/plain', 'application/json; charset=utf-7', 'application/json; charset=utf-16', 'application/json;charset=utf-8;charset=utf-7'];
      await each(types, (type) => refused(415, 415, LIST, withHeaders(['content-type', type])));
      await refused(415, 415, LIST, withHeaders(['content-type', 'application/json'], ['content-type', 'text/plain']));
      const capitals = await raw(target.port, { headers: withHeaders(['content-type', 'APPLICATION/JSON;charset=UTF-8'], ['content-length', LIST.length]), body: LIST });
      assert.deepEqual([capitals.status, sent()], [200, [LIST]]);
    });

    test('J01 J04 J05 J07 J10 J14 J16 J21 J22 J23: what two parsers read differently', async () => {
      const params = (text) => LIST.replace('"name":"listAccounts"', text);
      const cases = [
        ['J01', params('"name":"listAccounts","name":"getCustomerPII"')],
        ['J01 escaped', params('"name":"listAccounts","n\\u0061me":"getCustomerPII"')],
        ['J01 outer', LIST.replace('{', '{"params":{"name":"getCustomerPII"},')],
        ['J04', params('"name":"listAccounts","Name":"getCustomerPII"')],
        ['J04 long s', LIST.replace('"params"', '"param\xc5\xbf":{},"params"')],
        ['J05', LIST.replace('"method"', '"Method"')],
        ['J07', params('"name":"listAccounts","name\\u0000":"getCustomerPII"')],
        ['J10', `\xef\xbb\xbf${LIST}`],
        ['J14', params('"name":"\\ud800"')],
        ['J16', LIST.replace('{}', '{"z":NaN}')],
        ['J21', `${LIST}${LIST}`], ['J21 newline', `${LIST}\n{"x":1}`], ['J21 NUL', `${LIST}\0`],
        ['J22', `\xc2\xa0${LIST}`], ['J22 FF', `\x0c${LIST}`],
        ['J23 comment', `${LIST}// `], ['J23 comma', LIST.replace('{}', '{"a":1,}')], ['J23 quotes', LIST.replaceAll('"', "'")],
        ['UTF-16', [...LIST].map((c) => `${c}\0`).join('')], ['overlong UTF-8', params('"name":"\xc0\xacistAccounts"')],
      ];
      await each(cases, async ([, body]) => {
        const answer = await target.post(Buffer.from(body, 'latin1'));
        assert.ok(answer.status === 400 && [-32700, -32600].includes(JSON.parse(answer.text).error.code), `${answer.status} ${answer.text}`);
      });
    });

    test('J27 R01 R03 R05 R06: no single request', async () => {
      for (const body of ['', 'null', '1', '"x"', 'true', '{}', `[1,${LIST}]`, ` \n[${LIST},${LIST}]`, '[]',
        LIST.replace('"id":1,', ''), LIST.replace('{', '{"result":{},'), '{"jsonrpc":"2.0","id":1,"result":{}}', LIST.replace('2.0', '1.0')]) await refused(400, -32600, body);
    });

    test('J08 N01 R07 R13: methods that nobody knows, and what no rule names', async () => {
      for (const method of ['tools/call ', 'Tools/Call', '/tools/call', 'tools//call', 'x.y/z', 'sampling/createMessage']) await refused(404, -32601, LIST.replace('tools/call', method));
      for (const [method, params] of [['resources/read', { uri: 'file:///etc/passwd' }], ['prompts/get', { name: 'x' }]]) {
        await refused(200, 403, JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }));
      }
      for (const name of ['listAccounts ', 'LISTACCOUNTS', 'listAccount', 'listAccountsX', 'l\xd1\x96stAccounts', 'list\\u200dAccounts', '*', '']) {
        await refused(200, 403, LIST.replace('listAccounts', name));
      }
      await refused(400, -32602, LIST.replace('listAccounts', 'listAccounts\\u0000'));
    });

    test('T17 T20: a GET or DELETE with a body, whatever it says it overrides', async () => {
      for (const method of ['GET', 'DELETE']) {
        const override = ['x-http-method-override', 'POST'];
        const answer = await raw(target.port, { method, headers: [...authorized, override, ['content-length', LIST.length]], body: LIST });
        assert.equal(answer.status, 400);
        const chunks = await raw(target.port, { method, headers: [...chunkedHeaders(), override], body: chunked([LIST]) });
        assert.equal(chunks.status, 400);
      }
    });

    test('a GET and a DELETE without one go up under the baseline', async () => {
      for (const method of ['GET', 'DELETE']) {
        assert.equal((await raw(target.port, { method, headers: authorized })).status, 200);
        const [request] = target.echo.take();
        assert.equal(request.method, method);
        assert.ok(!JSON.stringify(request.headers).includes(token));
      }
    });
  });

  describe('that never end', () => {
    test('are answered by the watchdog', async () => {
      const started = Date.now();
      const slow = await raw(target.port, { headers: [...authorized, ['content-length', LIST.length]], body: [LIST.slice(0, 10)] });
      assert.equal(slow?.status, 503);
      assert.ok(slow.headers.get('retry-after'));
      assert.ok(Date.now() - started >= 2_900);
      const record = await target.record(({ reason }) => reason === 'undecided');
      assert.match(record.detail, /did not end in time/);
    });

    test('an upload that is broken off leaves nothing but its record', async () => {
      const before = target.stack.auditRecords().length;
      for (let i = 0; i < 20; i += 1) {
        const socket = connect({ port: target.port, host: '127.0.0.1' });
        socket.on('error', () => {});
        const head = ['POST /mcp HTTP/1.1', 'host: x', ...chunkedHeaders().map(([name, value]) => `${name}: ${value}`), '', ''].join('\r\n');
        await new Promise((written) => socket.write(head, written));
        await new Promise((written) => socket.write(`${LIST.length.toString(16)}\r\n${LIST}\r\n`, written));
        socket.resetAndDestroy();
      }
      await until(() => target.stack.auditRecords().length >= before + 20, 'the records');
      await until(async () => {
        const stats = await (await fetch(`${target.stack.adminUrl}/stats?filter=http.gateway.downstream_rq_active`)).text();
        return / 0\n/.test(stats);
      }, 'no active request');
    });
  });
});
