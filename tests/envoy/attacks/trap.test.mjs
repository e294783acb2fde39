// Rows F01 and P23: the virtual machine of the filter traps while a response passes.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DEPUTY_WASM } from '../../../demo/gateway.mjs';
import { until } from '../../../demo/process.mjs';
import { JSON_HEADERS, toolCall } from '../support/client.mjs';
import { PROTOCOLS } from '../support/protocols.mjs';
import { startScriptedServer } from '../support/scripted-server.mjs';
import { startTarget } from '../support/target.mjs';
import { writeTrappingWasm } from '../support/trapping-wasm.mjs';

const list = (...names) => `{"jsonrpc":"2.0","id":1,"result":{"tools":[${names.map((name) => `{"name":"${name}"}`)}]}}`;
const SECRETS = list(...Array(8_000).fill('secret'));

describe('a filter that traps', () => {
  let directory;
  let server;
  let target;
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'deputy-trap-'));
    const wasm = join(directory, 'trapping.wasm');
    writeTrappingWasm(DEPUTY_WASM, wasm);
    server = await startScriptedServer();
    target = await startTarget({ upstream: server, gateway: { set: { 'envoy.wasm': wasm } } });
  });
  after(async () => {
    await target?.stop();
    rmSync(directory, { recursive: true });
  });

  for (const [protocol, send] of Object.entries(PROTOCOLS)) {
    const headers = () => ({ ...Object.fromEntries(JSON_HEADERS), authorization: `Bearer ${target.mint.token()}` });
    const texts = [];
    /** Asks until the server hears it: a machine that has trapped is started anew after a moment, one in each worker. */
    const post = (message, onText) => until(async () => {
      server.take();
      const answer = await send(target.port, { headers: headers(), body: JSON.stringify(message), onText });
      texts.push(answer.text);
      return server.take().length > 0 && answer;
    }, 'a machine that works');
    const LIST = { jsonrpc: '2.0', id: 1, method: 'tools/list' };

    test(`P23: passes nothing of what it did not judge, and is back for the next request, over ${protocol}`, async () => {
      for (const [request, type, first, rest] of [
        [LIST, 'application/json', '', SECRETS],
        [LIST, 'application/json', '{"result":{"tools":[{"name":"listAccounts"},', SECRETS.slice(40)],
        [LIST, 'text/event-stream', 'data: 1\n\n', `data: ${SECRETS}\n\n`],
        [toolCall('listAccounts'), 'text/event-stream', 'data: 1\n\n', `data: ${SECRETS}\n\n`],
      ]) {
        const arrived = Promise.withResolvers();
        server.answer = async (outgoing) => {
          outgoing.writeHead(200, { 'content-type': type });
          if (first) {
            outgoing.write(first);
            await arrived.promise;
          }
          outgoing.write(rest);
          setImmediate(() => outgoing.end(list('secret')));
        };
        const seen = await post(request, arrived.resolve);
        assert.deepEqual([seen.status, seen.whole], first ? [200, false] : [503, true]);

        server.answer = (outgoing) => outgoing.writeHead(200, { 'content-type': 'application/json' }).end(list('secret', 'listAccounts'));
        assert.match((await post(LIST)).text, /"tools":\[\{"name":"listAccounts"\}\]/);
      }
      assert.doesNotMatch(texts.join('\n'), /secret/);
      assert.match(target.envoyLog(), /proxy_on_response_body.*failed|unreachable/);
    });

    test(`F01: while it is gone, what comes is answered with 503 and nothing else, over ${protocol}`, async () => {
      server.answer = (outgoing) => outgoing.writeHead(200, { 'content-type': 'application/json' }).end(SECRETS);
      await post(LIST);
      // Without a token nothing ever goes up; at a machine that is gone, nothing is even asked for.
      const statuses = new Set();
      server.take();
      server.answer = (outgoing) => outgoing.writeHead(200, { 'content-type': 'application/json' }).end(list('listAccounts'));
      await until(async () => {
        for (const headers of [Object.fromEntries(JSON_HEADERS), { ...Object.fromEntries(JSON_HEADERS), authorization: 'Bearer garbage' }]) {
          statuses.add((await send(target.port, { headers, body: JSON.stringify(toolCall('secret')) })).status);
        }
        return statuses.has(401) && (await send(target.port, { headers: headers(), body: JSON.stringify(LIST) })).status === 200;
      }, 'a machine that works');
      assert.deepEqual([...statuses].filter((status) => ![401, 503].includes(status)), []);
      assert.ok(server.take().every(({ body }) => body.toString().includes('tools/list')));
    });
  }
});
