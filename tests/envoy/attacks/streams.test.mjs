// Requests and answers that break off, do not end, or end in trailers, with both HTTP versions on both sides: nothing is left
// behind, nothing goes up that should not, and there is one record of each.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import { connect } from 'node:net';
import { after, afterEach, before, describe, test } from 'node:test';
import { SARAH } from '../../../demo/people.mjs';
import { until } from '../../../demo/process.mjs';
import { toolCall } from '../support/client.mjs';
import { startEchoServer } from '../support/echo-server.mjs';
import { connect2, fields, request2 } from '../support/http2.mjs';
import { chunked, raw } from '../support/raw-http.mjs';
import { atRest, auditOf } from '../support/records.mjs';
import { startScriptedStack } from '../support/scripted-authorization-server.mjs';
import { each, eachAtOnce } from '../support/tables.mjs';
import { assertDelegated, Target } from '../support/target.mjs';

const CALL = JSON.stringify(toolCall('listAccounts'));
const LIST = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
const ANSWER = JSON.stringify({ jsonrpc: '2.0', id: 1, result: { tools: [{ name: 'listAccounts' }, { name: 'dropAllAccounts' }, { name: 'getAccount' }] } });
const FILTERED = JSON.stringify({ jsonrpc: '2.0', id: 1, result: { tools: [{ name: 'listAccounts' }, { name: 'getAccount' }] } });

/** Envoy passes on trailers of HTTP/1.1, and speaks that version or the other to the upstream. */
const withTrailers = (version) => (text) => {
  const options = version === 'HTTP/2' ? 'http2_protocol_options: {}' : 'http_protocol_options: {enable_trailers: true}';
  const edited = text
    .replace(/^( +)http2_protocol_options:\n/m, '$1http_protocol_options: {enable_trailers: true}\n$&')
    .replace(/(explicit_http_config: ).*(?=\n +# Shorter)/, `$1{${options}}`);
  assert.ok(edited.includes(`explicit_http_config: {${options}}\n          # Shorter`));
  return edited;
};

/** A request that is begun: `{ arrived(text), breakOff() }`. If less than `length` of its body is sent, it waits for more. */
const BEGIN = {
  async 'HTTP/1.1'(port, headers, sent, length = sent.length) {
    const socket = connect({ port, host: '127.0.0.1' }).on('error', () => {});
    const arrived = collect(socket);
    const all = [['host', 'gateway'], ['expect', '100-continue'], ['content-length', length], ...headers];
    socket.write(`POST /mcp HTTP/1.1\r\n${all.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`);
    await arrived('100 Continue');
    socket.write(sent);
    return { arrived, breakOff: () => socket.resetAndDestroy() };
  },
  async 'HTTP/2'(port, headers, sent, length = sent.length) {
    const session = connect2(port);
    const stream = session.request(fields(port, headers), { endStream: false }).on('error', () => {});
    const arrived = collect(stream);
    stream.write(sent);
    if (sent.length === length) stream.end();
    await new Promise((answered) => session.ping(answered)); // by then Envoy has read what was before it
    const breakOff = async () => {
      stream.close(http2.constants.NGHTTP2_CANCEL);
      if (!stream.destroyed) await once(stream, 'close');
      session.destroy();
    };
    return { arrived, breakOff };
  },
};

function collect(stream) {
  let text = '';
  stream.on('data', (chunk) => { text += chunk; });
  return (part) => until(() => text.includes(part), `${part} from the gateway`);
}

for (const upstream of ['HTTP/1.1', 'HTTP/2']) {
  describe(`streams, ${upstream} upstream`, () => {
    let target;
    let scripted;
    before(async () => {
      const echo = await startEchoServer({ over: upstream === 'HTTP/2' ? http2 : http });
      let stack;
      const gateway = { set: { 'limits.decision_time': '3s' }, edit: { 'envoy.yaml': withTrailers(upstream) } };
      try {
        ({ stack, scripted } = await startScriptedStack({ upstream: echo.address, gateway }));
      } catch (error) {
        await echo.stop();
        throw error;
      }
      target = new Target(stack, echo, async () => {
        await stack.stop();
        await echo.stop();
      });
    });
    after(async () => {
      await target?.assertHealthy();
      await target?.stop();
    });
    afterEach(() => {
      target.echo.answer = undefined;
      scripted.script = scripted.passOn;
      target.echo.take();
    });

    /** Headers under a token of their own, by which `recordOf` finds what became of the request, once and for all. */
    const headersOf = (id) => target.headers([], target.mint.token({ jti: id }));
    const recordOf = async (id) => {
      await auditOf(target.stack, id);
      await atRest(target.stack);
      const records = await auditOf(target.stack, id);
      assert.equal(records.length, 1, JSON.stringify(records));
      return records[0];
    };

    for (const [version, begin] of Object.entries(BEGIN)) {
      describe(`a client over ${version} breaks off`, () => {
        /** Begins a request, waits until `ready` to break it off, and gives its record. */
        const brokenOff = async (body, length, ready) => {
          const id = randomUUID();
          const request = await begin(target.port, headersOf(id), body, length);
          await ready(request);
          await request.breakOff();
          return recordOf(id);
        };

        test('half way through its body: nothing goes up', async () => {
          const begun = target.echo.begun;
          for (let sent = 0; sent < CALL.length; sent += 20) {
            const record = await brokenOff(CALL.slice(0, sent), CALL.length, () => {});
            assert.deepEqual([record.status, record.upstream_status, record.rule], [0, undefined, undefined]);
          }
          assert.equal(target.echo.begun, begun);
        });

        test('while its token is exchanged: nothing goes up, then or later', async () => {
          const begun = target.echo.begun;
          const { release, asked } = scripted.hold();
          const id = randomUUID();
          const request = await begin(target.port, headersOf(id), CALL);
          await asked();
          await request.breakOff();
          await auditOf(target.stack, id);
          release();
          assert.deepEqual([(await recordOf(id)).status, target.echo.begun], [0, begun]);
          scripted.script = scripted.passOn;
          assert.equal((await target.post(CALL)).status, 200);
        });

        for (const [type, mark, rest] of [['application/json', '', ''], ['text/event-stream', 'data: ', '\n\n']]) {
          test(`while a list comes as ${type}: the upstream is told, and it was one request`, async () => {
            let gone;
            target.echo.answer = (outgoing) => {
              gone = once(outgoing, 'close');
              outgoing.writeHead(200, { 'content-type': type });
              // Of an event nothing passes before its end.
              outgoing.write(mark ? `: begun\n\n${mark}${ANSWER}${rest}${mark}{` : ANSWER.slice(0, -20));
            };
            const record = await brokenOff(LIST, LIST.length, ({ arrived }) => arrived('listAccounts'));
            await gone;
            assert.deepEqual([record.decision, record.upstream_status, target.echo.take().length], ['allow', 200, 1]);
          });
        }
      });
    }

    const TRAILERS = { 'x-checksum': 'abc', 'x-mcp-user': 'root', 'content-type': 'text/plain' };
    const ask = {
      'HTTP/1.1': (headers, body, trailers) => raw(target.port, { headers: [...headers, ['transfer-encoding', 'chunked'], ['te', 'trailers']], body: chunked([body], Object.entries(trailers ?? {})) }),
      'HTTP/2': (headers, body, trailers) => request2(target.port, { headers: [...headers, ['te', 'trailers']], pieces: [body], trailers }),
    };

    for (const [version, send] of Object.entries(ask)) {
      test(`an answer that ends in trailers ends, over ${version}`, () => each([
        ['a list', LIST, 'application/json', ANSWER, FILTERED], ['a list in events', LIST, 'text/event-stream', `data: ${ANSWER}\n\n`, `data: ${FILTERED}\n\n`],
        ['a list in an event without its end', LIST, 'text/event-stream', `data: 1\n\ndata: ${ANSWER}`, 'data: 1\n\n'],
        ['what is no list', CALL, 'application/json', ANSWER, ANSWER], ['nothing', LIST, undefined, '', ''],
      ], async ([, body, type, answer, passed]) => {
        target.echo.answer = (outgoing) => {
          outgoing.writeHead(type ? 200 : 202, { ...type && { 'content-type': type }, trailer: Object.keys(TRAILERS).slice(0, 1) });
          outgoing.addTrailers({ 'x-checksum': 'abc' });
          if (answer) outgoing.write(answer);
          outgoing.end();
        };
        const id = randomUUID();
        const { status, text } = await send(headersOf(id), body);
        assert.equal(status, type ? 200 : 202);
        assert.equal(text.includes('dropAllAccounts'), passed.includes('dropAllAccounts'), text);
        assert.ok(text.includes(passed), text);
        assert.equal((await recordOf(id)).decision, 'allow');
      }));

      test(`a list that is cut off by trailers or by a reset does not pass as whole, over ${version}`, () => each([
        ['trailers', (outgoing) => { outgoing.addTrailers({ 'x-checksum': 'abc' }); outgoing.end(ANSWER.slice(0, -5)); }],
        ['a reset', (outgoing) => { outgoing.write(ANSWER.slice(0, -5), () => (outgoing.stream ? outgoing.stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR) : outgoing.socket.resetAndDestroy())); }],
      ], async ([, end]) => {
        target.echo.answer = (outgoing) => {
          outgoing.writeHead(200, { 'content-type': 'application/json', trailer: 'x-checksum' });
          end(outgoing);
        };
        const id = randomUUID();
        const { status, text } = await send(headersOf(id), LIST);
        assert.equal(status, 200);
        assert.ok(!text.includes('dropAll') && !text.includes(FILTERED.slice(-5)), text);
        await recordOf(id);
      }));

      test(`the trailers of a request stay here, over ${version}`, async () => {
        for (const body of [CALL, LIST]) {
          assert.equal((await send(target.headers(), body, { ...TRAILERS, authorization: `Bearer ${target.mint.token()}` })).status, 200);
          const [request] = target.echo.take();
          assert.deepEqual([request.body.toString(), request.trailers], [body, []]);
          assertDelegated(request, SARAH.user, body === CALL ? 'ledger:ListAccounts' : 'ledger:Connect');
        }
      });
    }

    test('a body that never ends is answered', () => eachAtOnce(Object.entries(BEGIN), async ([, begin]) => {
      const id = randomUUID();
      const begun = target.echo.begun;
      const request = await begin(target.port, headersOf(id), CALL.slice(0, 10), CALL.length);
      await request.arrived('No decision in time');
      const [record] = await auditOf(target.stack, id);
      assert.deepEqual([record.status, record.reason, target.echo.begun], [503, 'undecided', begun]);
      assert.match(record.detail, /did not end in time/);
      await request.breakOff();
    }));
  });
}
