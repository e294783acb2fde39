// Rows P: what an MCP server answers, sloppy or hostile, and what of it a client sees. The server speaks the HTTP version
// of the client, so each framing is tried on both sides.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { BAIT, BOTH, JSON_TYPE, SEEN, STREAM, assertHidden, assertRefused, assertStopped, result, tools, visible } from '../support/answers.mjs';
import { toolCall } from '../support/client.mjs';
import { PROTOCOLS } from '../support/protocols.mjs';
import { startScriptedServer } from '../support/scripted-server.mjs';
import { each } from '../support/tables.mjs';
import { startTarget } from '../support/target.mjs';

const POLICY = `
prompts:
  summary: {delegation: {scope: "ledger:Prompts"}}
resources:
  ledger://accounts/*: {delegation: {scope: "ledger:Resources"}}
`;

const asTheClientSpeaks = (yaml) => yaml.replace(/explicit_http_config: .*(?=\n +# Shorter)/, 'use_downstream_protocol_config: {http_protocol_options: {}, http2_protocol_options: {}}').replace(/^ +- match: \{prefix: \/\}$/m, `                        - match: {prefix: /other}
                          route: {cluster: enterprise_ledger}
$&`);

describe('the answers of an MCP server', () => {
  let server;
  let target;
  let token;
  let arrived;
  before(async () => {
    server = await startScriptedServer();
    target = await startTarget({ upstream: server, policy: (text) => text + POLICY, gateway: { set: { ignore: '[{path_prefix: /other}]' }, edit: { 'envoy.yaml': asTheClientSpeaks } } });
    token = target.mint.token();
  });
  afterEach(() => { server.answer = (outgoing) => outgoing.end(); });
  after(async () => {
    await target?.assertHealthy();
    await target?.stop();
  });

  /** From now on the server answers this. Among the `pieces`, a number is a pause in milliseconds, SEEN one until the client has some of it. */
  function answer(status, headers, ...pieces) {
    arrived = Promise.withResolvers();
    server.answer = async (outgoing) => {
      outgoing.writeHead(status, headers);
      for (const piece of pieces) {
        if (piece === SEEN) await arrived.promise;
        else if (typeof piece === 'number') await sleep(piece);
        else outgoing.write(piece);
      }
      outgoing.end();
    };
  }

  /** Bytes in place of an answer, which HTTP/1.1 alone allows. */
  function answerBytes(text) {
    server.answer = (outgoing) => outgoing.socket.end(text);
  }

  const recorded = (detail) => target.record((record) => record.reason === 'unfilterable_response' && record.detail === detail);

  /** A test over each HTTP version. `client` asks for a list, calls, listens, ends a session, and asks what is none of the filter's business. */
  function attack(name, check) {
    for (const [protocol, send] of Object.entries(PROTOCOLS)) {
      const sendTo = (request) => send(target.port, { ...request, onText: () => arrived?.resolve() });
      const headers = () => ({ authorization: `Bearer ${token}`, accept: 'application/json, text/event-stream' });
      const post = (message, more) => sendTo({ headers: { ...headers(), ...JSON_TYPE, ...more }, body: JSON.stringify(message) });
      const client = {
        list: (method = 'tools/list', params = {}, more = {}) => post({ jsonrpc: '2.0', id: 1, method, params }, more),
        call: (more) => post(toolCall('listAccounts'), more),
        listen: () => sendTo({ method: 'GET', headers: headers() }),
        other: () => sendTo({ method: 'GET', path: '/other' }),
        end: () => sendTo({ method: 'DELETE', headers: headers() }),
      };
      test(`${name}, over ${protocol}`, () => check(client, protocol === 'HTTP/2'));
    }
  }

  attack('P01: a list under a media type in any spelling is filtered, or refused', async ({ list }, isHttp2) => {
    await each(['application/json', 'Application/JSON', 'APPLICATION/JSON', 'application/json ;charset=utf-8', 'application/json;\tCharset="UTF-8"'], async (type) => {
      answer(200, { 'content-type': type, etag: '"1"', 'content-length': BOTH.length }, BOTH);
      const seen = await list();
      assert.deepEqual(visible(seen), ['listAccounts']);
      // They were true of other bytes.
      assert.deepEqual([seen.headers.get('content-length'), seen.headers.get('etag')], [null, null]);
    });
    await each(['application/json; charset=utf-16', 'application/json; charset=utf-7', 'application/json, text/plain', 'application/json; a=b', 'application/jsonp',
      'application/vnd.mcp+json'], async (type) => {
      answer(200, { 'content-type': type }, BAIT);
      assertRefused(await list());
    });
    if (isHttp2) return; // Node sends no such thing over HTTP/2
    answer(200, ['content-type', 'application/json', 'Content-Type', 'text/event-stream'], BAIT);
    assertRefused(await list());
  });

  attack('P02: a list under any status is filtered', async ({ list, call: ask }) => {
    // A part of an answer could begin anywhere in it.
    for (const request of [list, ask]) {
      answer(206, { ...JSON_TYPE, 'content-range': 'bytes 0-9/10' }, BAIT);
      assert.equal((await request()).status, 502);
    }
    await each([200, 201, 202, 203, 226, 299, 400, 402, 403, 404, 405, 409, 410, 418, 429, 451, 499, 500, 501, 502, 503, 504, 511, 599], async (status) => {
      answer(status, { ...JSON_TYPE, 'content-range': 'bytes 0-9/10' }, BOTH);
      const seen = await list();
      assert.deepEqual([seen.status, visible(seen)], [status, ['listAccounts']]);
      answer(status, { 'content-type': 'text/html' }, BAIT);
      const html = await list();
      // Of an error the status is told, which says that a session is gone, say.
      if (status < 400) assertRefused(html);
      else assert.deepEqual([html.status, html.text], [status, '']);
    });
    // This one would have the client sign in again.
    answer(401, JSON_TYPE, BOTH);
    assertRefused(await list());
  });

  attack('P03: a list under another media type, or none, is refused', async ({ list, listen }) => {
    await each(['text/plain', 'application/octet-stream', 'text/html', 'text/json', 'application/x-ndjson', 'application/problem+json', 'multipart/mixed; boundary=x', 'application /json',
      'garbage', '', undefined], async (type) => {
      answer(200, type === undefined ? {} : { 'content-type': type }, BAIT);
      assertRefused(await list());
    });
    await recorded('media_type');
    // Some clients read what answers a GET as a stream of events, whatever it says that it is.
    await each(['text/plain', 'application/octet-stream', '', undefined], async (type) => {
      answer(200, type === undefined ? {} : { 'content-type': type }, `data: ${BAIT}\n\n`);
      assertRefused(await listen());
    });
    answer(200, JSON_TYPE, BOTH);
    assert.deepEqual(visible(await listen()), ['listAccounts']);
    // What says that there is no stream passes.
    answer(405, { 'content-type': 'text/plain', allow: 'POST' }, 'Method Not Allowed');
    assert.deepEqual([(await listen()).status, (await listen()).text], [405, 'Method Not Allowed']);
  });

  attack('P03: a stream of events in another charset is refused', async ({ call: ask, list, listen }) => {
    // A client that decodes as told reads events where there are none in UTF-8.
    const utf16 = Buffer.from(`data: ${BAIT}\n\n`, 'utf16le');
    const utf7 = `data+ADo ${BAIT.replaceAll('"', '+ACI-')}\n\n`;
    for (const request of [ask, list, listen]) {
      await each([['utf-16le', utf16], ['"UTF-16"', utf16], ['utf-7', utf7], ['utf-8; charset=utf-16le', utf16], ['utf-16le; charset=utf-8', utf16]], async ([charset, body]) => {
        answer(200, { 'content-type': `text/event-stream; charset=${charset}` }, body);
        assertRefused(await request());
      });
      answer(200, { 'content-type': 'Text/Event-Stream ;charset=UTF-8' }, `data: ${BOTH}\n\n`);
      assert.deepEqual(visible(await request()), ['listAccounts']);
    }
  });

  attack('P04: an encoded list is refused, and none is asked for', async ({ call: ask, list, listen }) => {
    const codings = { gzip: gzipSync, 'x-gzip': gzipSync, GZIP: gzipSync, br: brotliCompressSync, deflate: deflateSync, zstd: zstdCompressSync, 'identity, gzip': gzipSync,
      'gzip, gzip': (text) => gzipSync(gzipSync(text)), none: (text) => text };
    await each(Object.entries(codings), async ([coding, encode]) => {
      for (const [request, type, text] of [[list, JSON_TYPE, BAIT], [list, STREAM, `data: ${BAIT}\n\n`], [ask, STREAM, `data: ${BAIT}\n\n`], [listen, STREAM, `data: ${BAIT}\n\n`]]) {
        answer(200, { ...type, 'content-encoding': coding }, encode(text));
        assertRefused(await request());
      }
    });
    await recorded('content_encoding');
    answer(200, { ...JSON_TYPE, 'content-encoding': 'identity' }, BOTH);
    server.take();
    assert.deepEqual(visible(await list('tools/list', {}, { 'accept-encoding': 'gzip, br' })), ['listAccounts']);
    const [{ headers }] = server.take();
    assert.deepEqual([headers['accept-encoding'], headers.accept], [undefined, 'application/json, text/event-stream']);
  });

  attack('P06: an event that is not exactly one value ends the stream', async ({ call: ask, list, listen }) => {
    await each([
      `data: {}\ndata: ${BAIT}\n\n`, `data: ${BAIT}\ndata: ${BAIT}\n\n`, `data: {}${BAIT}\n\n`, `data: {} ${BAIT}\n\n`, `data: ${BAIT},\n\n`, `data:\ndata: {}\ndata: ${BAIT}\n\n`,
      `data: "${BAIT.replaceAll('"', '\\"')}"\ndata: ${BAIT}\n\n`, `data: x${BAIT}\n\n`, `data: ${BAIT.slice(0, -1)}\n\n`, `data: {}\nid: 1\nevent: message\ndata: ${BAIT}\n\n`,
      `data: /**/${BAIT}\n\n`,
    ], async (event) => {
      for (const request of [ask, list, listen]) {
        answer(200, STREAM, 'data: 1\n\n', SEEN, event, `data: ${BAIT}\n\n`);
        const seen = await request();
        assertStopped(seen);
        assert.equal(seen.text, 'data: 1\n\n', 'what came before has passed');
      }
    });
    await recorded('json_syntax');
    // One value on several lines is one value.
    const [begin, end] = [BOTH.slice(0, 34), BOTH.slice(34)];
    answer(200, STREAM, `data: ${begin}\ndata: ${end}\n\n`);
    assert.deepEqual(visible(await listen()), ['listAccounts']);
  });

  attack('P07: every line ending ends a line, in whatever pieces it comes', async ({ call: ask, list, listen }) => {
    // The comment loses its words, and every line ends alike.
    const event = (end) => `: ping${end}id: 1${end}data: ${BOTH}${end}${end}`;
    const ends = ['\n', '\r\n', '\r'];
    const mixed = `: ping\r\ndata: ${BOTH}\r\r: ping\ndata: ${BOTH}\n\r\n: ping\rdata: ${BOTH}\r\n\n`;
    for (const request of [ask, list, listen]) {
      await each([...ends.map(event), ends.map(event).join(''), mixed], async (stream) => {
        for (const pieces of [[stream], stream.split(/(?<=\r)/).flatMap((piece) => [piece, 5]), stream.match(/.{1,7}/gs), [...stream]]) {
          answer(200, STREAM, ...pieces);
          const seen = await request();
          assertHidden(seen);
          assert.ok(seen.whole);
          const count = stream.match(/: ping/g).length;
          assert.deepEqual(visible(seen), Array(count).fill('listAccounts'));
          assert.equal(seen.text.match(/^:$/gm).length, count);
          assert.ok(!seen.text.includes('\r'));
        }
      });
    }
  });

  attack('P08: a byte order mark hides no event', async ({ list, listen }) => {
    for (const request of [list, listen]) {
      await each([['\ufeff'], ['\ufeff: comment\n'], [Buffer.from([0xef]), 10, Buffer.from([0xbb]), 10, Buffer.from([0xbf])], ['\ufeffid: 1\r\n']], async (begin) => {
        answer(200, STREAM, ...begin, `data: ${BOTH}\n\ndata: ${BOTH}\n\n`);
        assert.deepEqual(visible(await request()), ['listAccounts', 'listAccounts']);
      });
      // A second one is part of a name that no reader knows.
      answer(200, STREAM, `\ufeff\ufeffdata: ${BAIT}\n\n\ufeffdata: ${BAIT}\n\n`);
      assert.deepEqual(visible(await request()), []);
      answer(200, STREAM, `data: \ufeff${BAIT}\n\n`);
      assertStopped(await request());
    }
  });

  attack('P09: what every reader takes for data is data, and nothing else', async ({ list, listen }) => {
    const filtered = [`data:${BOTH}\n\n`, `data:  ${BOTH}\n\n`, `data:\t${BOTH}\n\n`, `data\ndata: ${BOTH}\ndata\n\n`,
      `id: 1\nretry: 1\n: x\ndata: ${BOTH}\nid: 2\n\n`, `data: ${BOTH}\nevent: message\n\n`, `DATA: {}\ndata: ${BOTH}\nData: {}\n\n`];
    const ignored = [`data : ${BAIT}\n\n`, `DATA: ${BAIT}\n\n`, `Data:${BAIT}\n\n`, ` data: ${BAIT}\n\n`, `: data: ${BAIT}\n\n`, `event: ${BAIT}\n\n`, `dat\u0430: ${BAIT}\n\n`,
      `data\0: ${BAIT}\n\n`, `datax: ${BAIT}\n\n`,
      // An event of another name can lead a client elsewhere; and what some readers take for data.
      `event: foo\ndata: ${BAIT}\n\n`, `data: ${BAIT}\nevent: endpoint\n\n`, `data:\r\r${BAIT}\n\n`, `: c\u2028data: ${BAIT}\n\n`, `\u00ef\u00bb\u00bfdata: ${BAIT}\n\n`,
      `: c\n\ufeffdata: ${BAIT}\n\n`];
    for (const request of [list, listen]) {
      await each(filtered, async (event) => {
        answer(200, STREAM, event);
        const seen = await request();
        assertHidden(seen);
        assert.deepEqual(visible(seen), ['listAccounts']);
      });
      await each(ignored, async (event) => {
        answer(200, STREAM, event);
        const seen = await request();
        assert.ok(seen.whole && !seen.text.includes('secret'), seen.text);
      });
    }
  });

  attack('P11: an event that the end of the stream cuts off is dropped', async ({ list, listen }) => {
    for (const request of [list, listen]) {
      await each(['data: "secret', `data: ${BAIT}`, `data: ${BAIT}\n`, `data: ${BAIT}\r`, `data: ${BAIT}\r\n`, `data: ${BAIT}\nid: 1\n`, `data: ${BAIT}\n:`], async (event) => {
        answer(200, STREAM, `data: ${BOTH}\n\n`, event);
        const seen = await request();
        assertHidden(seen);
        assert.deepEqual(visible(seen), ['listAccounts']);
      });
    }
  });

  attack('P13: a list is filtered by its shape, whatever it says that it answers', async ({ call: ask, list, listen }) => {
    const members = tools('secret', 'listAccounts');
    const ids = ['1', 2, null, 1.5, -1, [1], {}];
    const messages = [...ids.map((id) => result(members, id)), `{"result":{${members}}}`, `{"id":1,"result":{${members}},"method":"tools/call","jsonrpc":"1.0"}`,
      `[${result(members)},${result(members, 2)}]`];
    await each(messages, async (message) => {
      const count = message.match(/listAccounts/g).length;
      for (const [request, type, text] of [[list, JSON_TYPE, message], ...[list, ask, listen].map((one) => [one, STREAM, `data: ${message}\n\n`])]) {
        answer(200, type, text);
        const seen = await request();
        assertHidden(seen);
        assert.deepEqual(visible(seen), Array(count).fill('listAccounts'));
      }
    });
    // Another list than the one that was asked for, and all of them at once.
    answer(200, JSON_TYPE, result(`"prompts":[{"name":"summary"},{"name":"secret"}],"resources":[{"uri":"ledger://secret/1"}],${members}`));
    assert.deepEqual(visible(await list('resources/list')), ['listAccounts', 'summary']);
  });

  attack('P14: a list that two readers could read differently is refused', async ({ list, listen }) => {
    const secret = '[{"name":"secret"}]';
    const ambiguous = [
      result(`"tools":[],"tools":${secret}`), result(`"tools":${secret},"tools":[]`), result(`"tools":[],"Tools":${secret}`), result(`"TOOLS":${secret},"x":"tools"`), result(`"tools":[],"t\\u006fols":${secret}`),
      result(`"tools":[],"tool\u017f":${secret}`), result(`"tools":[],"tools\\u0000":${secret}`), `{"jsonrpc":"2.0","id":1,"result":{"tools":[]},"result":{"tools":${secret}}}`,
      `{"id":1,"result":{"tools":[]},"Result":{"tools":${secret}}}`, result('"tools":[{"title":"secret"}]'), result('"tools":[{"name":["secret"]}]'), result('"tools":["secret"]'),
      result('"tools":{"0":{"name":"secret"}}'), result('"tools":"secret"'), result('"__proto__":{"tools":[{"name":"secret"}]},"tools":[]'), `${BAIT}${BAIT}`, `${BAIT}//`, `\ufeff${BAIT}`,
      `{"result":{"tools":${secret},}}`, `{'result':{"tools":${secret}}}`, `{"id":NaN,"result":{"tools":${secret}}}`, BAIT.slice(0, -1), Buffer.from(BAIT, 'utf16le'), Buffer.from(result('"tools":[{"name":"secret\xff"}]'), 'latin1'),
        `"${BAIT.replaceAll('"', '\\"')}"`,
    ];
    await each(ambiguous, async (message) => {
      answer(200, JSON_TYPE, message);
      assertStopped(await list());
      // To a reader of events, bytes that are not UTF-8 are no list, and a string is a string.
      if (typeof message !== 'string' || message.startsWith('"')) return;
      for (const request of [list, listen]) {
        answer(200, STREAM, `data: ${message}\n\n`);
        assertStopped(await request());
      }
    });
    // One tool of the kind takes no other with it.
    await each([
      '{"name":"listAccounts","name":"secret"}', '{"name":"listAccounts","Name":"secret"}', '{"name":"listAccounts","n\\u0061me":"secret"}', '{"name":"secret\\ud800"}',
      `${'{"a":'.repeat(5_000)}"secret"${'}'.repeat(5_000)}`,
    ], async (tool) => {
      const message = result(`"tools":[${tool},{"name":"listAccounts"}]`);
      for (const [type, body] of [[JSON_TYPE, message], [STREAM, `data: ${message}\n\n`]]) {
        answer(200, type, body);
        const seen = await list();
        assertHidden(seen);
        assert.deepEqual(visible(seen), ['listAccounts']);
      }
    });
    // If some of it has passed, the answer fails where it stands.
    answer(200, JSON_TYPE, '{"result":{"tools":[{"name":"listAccounts"},', SEEN, '{"title":"secret"}]}}');
    const begun = await list();
    assertHidden(begun);
    assert.deepEqual([begun.status, begun.whole], [200, false]);
    await target.record(({ detail, status, decision }) => detail === 'nameless_element' && status === 200 && decision === 'refuse');
    for (const detail of ['json_duplicate_member', 'truncated']) await recorded(detail);
  });

  attack('P16: every list is filtered, page by page, and nobody else may have it', async ({ list }) => {
    const of = (key, ...values) => `[${values.map((value) => JSON.stringify({ [key]: value }))}]`;
    await each([
      ['tools/list', 'tools', of('name', 'secret', 'listAccounts'), 'listAccounts'],
      ['prompts/list', 'prompts', of('name', 'secret', 'summary'), 'summary'],
      ['resources/list', 'resources', of('uri', 'secret://x', 'ledger://accounts/1', 'ledger://accounts/../secret', 'LEDGER://accounts/secret'), 'ledger://accounts/1'],
      ['resources/templates/list', 'resourceTemplates', of('uriTemplate', 'ledger://{secret}', 'ledger://accounts/{id}'), 'ledger://accounts/{id}'],
    ], async ([method, member, elements, shown]) => {
      for (const cursor of ['1', '2', 'secret-free']) {
        answer(200, JSON_TYPE, result(`"${member}":${elements},"nextCursor":"${cursor}","cacheScope":"public"`));
        const seen = await list(method, { cursor });
        assertHidden({ ...seen, text: seen.text.replace('secret-free', '') });
        assert.deepEqual(visible(seen), [shown]);
        const { nextCursor, cacheScope } = JSON.parse(seen.text).result;
        assert.deepEqual([nextCursor, cacheScope], [cursor, 'private']);
      }
    });
    // What tells of a list without being one passes, byte for byte.
    const changed = 'data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n';
    answer(200, STREAM, changed);
    assert.equal((await list()).text, changed);
    const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} };
    const discovered = result('"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"serverInfo":{"name":"x","version":"1"}');
    answer(200, JSON_TYPE, discovered);
    assert.equal((await list('server/discover', { _meta: meta }, { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'server/discover' })).text, discovered);
  });

  attack('P20: what is too large to judge is stopped, and never passed in part', async ({ call: ask, list, listen }) => {
    const large = (name, bytes) => `{"name":"${name}","description":"${'x'.repeat(bytes)}"}`;
    const LONGEST = 8 << 20;
    answer(200, JSON_TYPE, result(`"tools":[${large('secret', LONGEST)}]`));
    assertStopped(await list());
    answer(200, JSON_TYPE, `{"result":{"tools":[{"name":"listAccounts"},`, SEEN, `${large('secret', LONGEST)}]}}`);
    assertStopped(await list());
    answer(200, JSON_TYPE, `{"${'x'.repeat(300)}":"secret","result":{}}`);
    assertStopped(await list());
    answer(200, JSON_TYPE, `{"result":{"tools":[${' '.repeat(LONGEST)},{"name":"secret"}]}}`);
    assertStopped(await list());
    for (const request of [ask, listen]) {
      answer(200, STREAM, 'data: 1\n\n', SEEN, `data: ${result(`"tools":[${large('secret', LONGEST)}]`)}\n\n`);
      const seen = await request();
      assertStopped(seen);
      assert.equal(seen.text, 'data: 1\n\n');
    }
    await recorded('value_too_large');
    // Large as a whole is not large in its parts.
    const many = Array.from({ length: 2_000 }, () => `${large('listAccounts', 1_000)},${large('secret', 1_000)}`).join(',');
    answer(200, JSON_TYPE, result(`"tools":[${many}]`));
    const seen = await list();
    assertHidden(seen);
    assert.equal(visible(seen).length, 2_000);
    answer(200, STREAM, `data: ${BOTH}\n\n`.repeat(10_000));
    assert.equal(visible(await listen()).length, 10_000);
    const blob = result(`"content":[{"type":"text","text":"${'x'.repeat(LONGEST / 2)}"}]`);
    answer(200, JSON_TYPE, blob);
    assert.equal((await ask()).text, blob);
  });

  attack('P20: headers that are too large, and a body that ends too early, are no answer', async ({ call: ask, list }, isHttp2) => {
    answer(200, { ...JSON_TYPE, 'x-large': 'secret'.repeat(20_000) }, BAIT);
    assertStopped(await ask());
    for (const request of [list, ask]) {
      arrived = Promise.withResolvers();
      server.answer = async (outgoing) => {
        outgoing.writeHead(200, { ...JSON_TYPE, 'content-length': BOTH.length }).write(BOTH.replaceAll('secret', 'other').slice(0, -20));
        await arrived.promise;
        if (isHttp2) outgoing.stream.close(8);
        else outgoing.socket.destroy();
      };
      assert.equal((await request()).whole, false);
    }
  });

  const REDIRECTIONS = [300, 301, 302, 303, 304, 305, 307, 308, 399];
  const LOCATIONS = ['http://10.0.0.1/evil', 'https://evil.example/', '//evil.example', '/mcp?evil', 'evil', 'javascript:evil', ''];

  attack('P21: no redirection leads a client, with its token, elsewhere', async ({ call: ask, list, listen, end }) => {
    for (const request of [ask, list, listen, end]) {
      await each(REDIRECTIONS, async (status) => {
        for (const location of LOCATIONS) {
          answer(status, { location, ...JSON_TYPE }, ...(status === 304 ? [] : [BAIT]));
          const seen = await request();
          assertRefused(seen);
          assert.equal(seen.headers.get('location'), null);
        }
        answer(status, {});
        assertRefused(await request());
      });
    }
    const record = await target.record(({ reason }) => reason === 'unexpected_status');
    assert.deepEqual([record.decision, record.status], ['refuse', 502]);
  });

  attack('P21: nothing else that leads elsewhere passes', async ({ call: ask, list, listen }) => {
    const leading = { location: 'https://evil.example/', refresh: '0; url=https://evil.example/', 'alt-svc': 'h2="evil.example:443"' };
    for (const request of [ask, list, listen]) {
      await each([200, 201, 202, 403, 404, 500], async (status) => {
        answer(status, { ...leading, ...JSON_TYPE }, '{}');
        const seen = await request();
        assertHidden(seen);
        assert.deepEqual([seen.status, seen.text], [status, '{}']);
      });
    }
  });

  attack('P21: an answer without a body passes without one, whatever its headers say', async ({ call: ask, list, listen }) => {
    for (const request of [ask, list, listen]) {
      await each([[204, {}], [204, { ...JSON_TYPE, etag: '"secret"' }], [202, {}], [202, { 'content-length': '0', ...JSON_TYPE }], [205, { 'content-length': '0' }]], async ([status, headers]) => {
        answer(status, request === list ? headers : { ...headers, etag: '"1"' });
        const seen = await request();
        if (request === list) assert.equal(seen.text, '');
        assert.deepEqual([seen.status, seen.text, seen.whole], [status, '', true]);
      });
    }
  });

  attack('P21: an informational answer carries nothing to the client', async ({ call: ask, list }, isHttp2) => {
    const headers = { link: '<https://evil.example/>; rel=preload', 'www-authenticate': 'Bearer resource_metadata="https://evil.example/"',
      'set-cookie': 'evil=1', location: 'https://evil.example/', 'mcp-session-id': 'evil' };
    for (const request of [ask, list]) {
      await each([100, 102, 103, 199], async (status) => {
        server.answer = (outgoing) => {
          if (isHttp2) outgoing.stream.additionalHeaders({ ':status': status, ...headers });
          else outgoing.socket.write(`HTTP/1.1 ${status} x\r\n${Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`);
          outgoing.writeHead(200, JSON_TYPE).end(BOTH.replaceAll('secret', 'other'));
        };
        const seen = await request();
        assertHidden(seen);
        assert.equal(seen.status, 200);
      });
      if (isHttp2) continue; // has no 101 (RFC 9113 section 8.6)
      answerBytes(`HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n${BAIT}`);
      const seen = await request();
      assertHidden(seen);
      assert.equal(seen.status, 502);
    }
  });

  attack('P22: no challenge, cookie or metadata of the server reaches the client', async ({ call: ask, list, listen }) => {
    const challenge = 'Bearer error="insufficient_scope", scope="evil", resource_metadata="https://evil.example/.well-known/oauth-protected-resource"';
    const spoken = { 'www-authenticate': [challenge, 'Basic realm="evil"'], 'set-cookie': ['evil=1', 'evil2=2; Path=/'], 'proxy-authenticate': 'Basic realm="evil"' };
    for (const request of [ask, list, listen]) {
      await each([200, 400, 403, 404, 407, 500, 503], async (status) => {
        answer(status, { ...spoken, ...JSON_TYPE }, '{}');
        const seen = await request();
        assertHidden(seen);
        assert.equal(seen.status, status);
        for (const name of Object.keys(spoken)) assert.equal(seen.headers.get(name), null);
      });
      // The delegation token is at fault, not the client's.
      answer(401, { ...spoken, ...JSON_TYPE }, BAIT);
      const seen = await request();
      assertRefused(seen);
      assert.equal(seen.headers.get('www-authenticate'), null);
    }
  });

  attack('P22: nor does it in the trailers', async ({ call: ask, list, listen, other }, isHttp2) => {
    for (const [request, type, text] of [[ask, JSON_TYPE, '{}'], [list, JSON_TYPE, '{}'], [listen, STREAM, 'data: 1\n\n']]) {
      server.answer = (outgoing) => {
        outgoing.writeHead(200, { ...type, trailer: 'www-authenticate' });
        outgoing.write(text);
        outgoing.addTrailers({ 'www-authenticate': 'Bearer resource_metadata="https://evil.example/"', 'set-cookie': 'evil=1', 'mcp-session-id': 'evil', 'x-other': 'evil' });
        outgoing.end();
      };
      const seen = await request();
      assert.deepEqual([seen.status, seen.text, seen.whole, { ...seen.trailers }], [200, text, true, {}]);
    }
    // Another service keeps its own (on HTTP/1.1, Envoy drops all).
    if (isHttp2) assert.equal((await other()).trailers['x-other'], 'evil');
  });

  test('P22: a server without an answer leaks nothing of itself', async () => {
    for (const bytes of ['', 'secret', 'HTTP/1.1 200 OK\r\nsecret', 'HTTP/1.1 abc secret\r\n\r\n', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nsecret',
      'HTTP/1.1 200 OK\r\ncontent-length: 6\r\ntransfer-encoding: chunked\r\n\r\nsecret', 'HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nsecret',
      'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx: a\0secret\r\n\r\n{}']) {
      answerBytes(bytes);
      const seen = await PROTOCOLS['HTTP/1.1'](target.port, { headers: { authorization: `Bearer ${token}`, ...JSON_TYPE }, body: JSON.stringify(toolCall('listAccounts')) });
      assertStopped(seen);
    }
  });
});
