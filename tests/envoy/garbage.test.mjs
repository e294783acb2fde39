// For every input: either it is refused, or the upstream executes exactly what was judged and recorded. And nothing,
// however broken, takes a worker down.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { until } from '../../demo/process.mjs';
import { JSON_HEADERS } from './support/client.mjs';
import { parse } from './support/echo-server.mjs';
import { garbageBody, garbageHead, random, soundBody } from './support/garbage.mjs';
import { exchangeBytes, raw } from './support/raw-http.mjs';
import { startTarget } from './support/target.mjs';

const COUNT = 3_000;
const AT_ONCE = 16;

describe('garbage', () => {
  let target;
  let token;
  before(async () => {
    target = await startTarget({ echo: true });
    token = target.mint.token({ scope: 'mcp:connect pii:read' });
  });
  after(() => target?.stop());
  afterEach(() => target.assertHealthy());

  /** Each forwarded request is the one of an audit record, found by the request id. */
  async function assertExecutedAsRecorded(executed) {
    const idOf = ({ headers }) => headers.find(([name]) => name === 'x-request-id')?.[1];
    const byId = new Map();
    await until(() => {
      byId.clear();
      for (const record of target.stack.auditRecords()) byId.set(record.request_id, [...(byId.get(record.request_id) ?? []), record]);
      return executed.every((request) => byId.has(idOf(request)));
    }, 'the records');
    for (const request of executed) {
      const records = byId.get(idOf(request));
      const what = { body: request.body.toString('latin1'), records };
      assert.equal(records.length, 1, JSON.stringify(what));
      const [record] = records;
      assert.equal(record.decision, 'allow', JSON.stringify(what));
      assert.equal(record.http_method, request.method);
      const message = request.method === 'POST' ? parse(request.body) : {};
      assert.equal(record.method, message?.method, JSON.stringify(what));
      assert.equal(record.tool, message.method === 'tools/call' ? message.params.name : undefined, JSON.stringify(what));
    }
  }

  test(`${COUNT} bodies are refused or executed as recorded`, async () => {
    const source = random(20260728);
    const bodies = Array.from({ length: COUNT }, () => garbageBody(source));
    const statuses = {};
    await concurrently(bodies, async (body) => {
      const answer = await raw(target.port, { headers: [...JSON_HEADERS, ['authorization', `Bearer ${token}`], ['content-length', body.length]], body });
      statuses[answer?.status] = (statuses[answer?.status] ?? 0) + 1;
    });
    const executed = target.echo.take();
    assert.deepEqual(Object.keys(statuses).filter((status) => !['200', '400', '403', '404', '413'].includes(status)), [], JSON.stringify(statuses));
    assert.ok(executed.length > COUNT / 50, 'some are still sound');
    assert.ok(statuses[400] > COUNT / 3, 'most are not');
    const sent = new Set(bodies.map((body) => body.toString('latin1')));
    assert.ok(executed.every(({ body }) => sent.has(body.toString('latin1'))), 'the bytes that were sent');
    await assertExecutedAsRecorded(executed);
  });

  test(`${COUNT} heads are refused or executed as recorded, and the token never goes up`, async () => {
    const source = random(9728);
    const requests = Array.from({ length: COUNT }, () => {
      const body = source.below(4) ? soundBody(source) : garbageBody(source);
      return [garbageHead(source, token, body), body];
    });
    const statuses = {};
    // Some of them promise more than they send: nobody answers those.
    await concurrently(requests, async (parts) => {
      const answer = (await exchangeBytes(target.port, parts, { seconds: 0.5 })).at(-1);
      statuses[answer?.status] = (statuses[answer?.status] ?? 0) + 1;
    });
    const executed = target.echo.take();
    assert.deepEqual(Object.keys(statuses).filter((status) => Number(status) >= 500 && status !== '501'), [], JSON.stringify(statuses));
    assert.ok(executed.length > COUNT / 50, 'some are still sound');
    for (const { url, headers } of executed) {
      assert.match(url, /^\/mcp(\?|$)/);
      assert.ok(!JSON.stringify(headers).includes(token), JSON.stringify(headers));
      assert.equal(headers.filter(([name]) => name === 'authorization').length, 1);
    }
    await assertExecutedAsRecorded(executed);
  });
});

async function concurrently(items, work) {
  const rest = items.values();
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (const item of rest) await work(item);
  }));
}
