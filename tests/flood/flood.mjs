// Tokens that nobody has seen before, good ones and garbage, at the full rate of this machine, while a known caller goes on calling.
//
// As a program: node tests/flood/flood.mjs [tokens] [seconds]    (100000 good tokens; then so many seconds of garbage)
// As a library: flood().
import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { pushing } from '../envoy/support/stack.mjs';
import { startTarget } from '../envoy/support/target.mjs';
import { inSeconds, signer } from '../envoy/support/tokens.mjs';

const PING = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' });
const AT_ONCE = 16;
const MEBIBYTE = 1_048_576;
/** What Envoy itself may take more while it is busy, in MiB. */
const SLACK = 10;

/**
 * `tokens` good ones, each of so many `bytes` more than it needs, and then garbage for `seconds`; the gateway remembers
 * `cached` of them in each worker. Asserts that memory stays what it was when those were full. Resolves to what was measured.
 */
export async function flood({ tokens, seconds, cached, workers, bytes = 0 }) {
  const key = { ...generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }), kid: 'flood', alg: 'EdDSA' };
  const signature = signer(key.alg, key);
  const edit = pushing((pushed) => {
    const { d, ...publicKey } = key;
    pushed.issuers[0].jwks.keys.push(publicKey);
    pushed.policies['enterprise-ledger'].baseline = 'without_token';
    pushed.limits = { ...pushed.limits, cached_tokens: cached };
  });
  const target = await startTarget({ echo: true, gateway: { edit, workers } });
  const agent = new http.Agent({ keepAlive: true, maxSockets: AT_ONCE + 1 });
  try {
    const { mint, port } = target;
    const note = 'x'.repeat(bytes);
    let count = 0;
    const good = (sub = `user-${count}`) => mint.token({ sub, jti: `${count += 1}`, exp: inSeconds(3_000), note }, { alg: key.alg, kid: key.kid }, { signature });
    const known = good('known');
    const signed = known.slice(0, known.lastIndexOf('.') + 1);
    const garbage = () => (Math.random() < 0.5 ? signed + randomBytes(64).toString('base64url') : randomBytes(300).toString('base64url'));
    const statuses = {};
    const ask = async (what, token) => {
      const started = performance.now();
      const status = await post(agent, port, token);
      statuses[what] = { ...statuses[what], [status]: (statuses[what]?.[status] ?? 0) + 1 };
      target.echo.take();
      return performance.now() - started;
    };

    /** Sends tokens as long as `more()` gives one; the known caller calls on beside it. */
    async function send(what, more) {
      const latencies = [];
      let sent = 0;
      let running = true;
      const caller = (async () => { while (running) latencies.push(await ask('known', known)); })();
      await Promise.all(Array.from({ length: AT_ONCE }, async () => {
        for (let token = more(); token; token = more()) {
          sent += 1;
          await ask(what, token);
        }
      }));
      running = false;
      await caller;
      return { sent, latencies };
    }
    // Made before they are sent, so that nobody waits for that.
    const upTo = (limit, make) => {
      const made = Array.from({ length: limit }, () => make());
      return () => made.pop();
    };
    const forSeconds = (limit, make) => {
      const end = performance.now() + limit * 1000;
      return () => performance.now() < end && make();
    };

    // Full, and warm. Then one user's flood, everybody's, and garbage.
    await send('good', upTo(2 * cached * workers, () => good()));
    const full = residentMebibytes(target.pid);
    const quiet = [];
    const flooded = [];
    const measured = { full };
    const rounds = 10;
    for (let round = 0; round < rounds; round += 1) {
      quiet.push(...(await send('again', upTo(200, () => known))).latencies);
      flooded.push(...(await send('good', upTo(tokens / rounds, () => good(round % 2 ? undefined : 'mallory')))).latencies);
      measured.flooded = residentMebibytes(target.pid);
    }
    const bad = await send('bad', forSeconds(seconds, garbage));
    measured.garbage = residentMebibytes(target.pid);

    assert.deepEqual(Object.fromEntries(Object.entries(statuses).map(([what, seen]) => [what, Object.keys(seen)])), { good: ['200'], known: ['200'], again: ['200'], bad: ['401'] });
    for (const what of ['flooded', 'garbage']) assert.ok(measured[what] <= full + SLACK, `${what}: ${measured[what]} MiB, after ${full} MiB when all that is remembered was full`);
    await target.assertHealthy();
    return { ...measured, good: count, bad: bad.sent, ratio: median(flooded) / median(quiet), ratioOfGarbage: median(bad.latencies) / median(quiet) };
  } finally {
    agent.destroy();
    await target.stop();
  }
}

function post(agent, port, token) {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', accept: 'application/json, text/event-stream', 'content-length': PING.length };
    const request = http.request({ host: '127.0.0.1', port, path: '/mcp', method: 'POST', agent, headers }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode));
    });
    request.on('error', reject);
    request.end(PING);
  });
}

// Of the whole process: what a virtual machine has stands in no statistic of Envoy's.
const residentMebibytes = (pid) => Math.round((Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024) / MEBIBYTE);
const median = (values) => values.sort((one, other) => one - other)[values.length >> 1];

if (import.meta.main) {
  const [tokens = 100_000, seconds = 30] = process.argv.slice(2).map(Number);
  const { full, flooded, garbage, good, bad, ratio, ratioOfGarbage } = await flood({ tokens, seconds, cached: 10_000, workers: 2 });
  console.log(`memory: ${full} MiB with 10 000 tokens remembered in each of two workers; ${flooded} MiB after ${good} good ones; ${garbage} MiB after ${bad} bad ones`);
  console.log(`a known caller waits ${ratio.toFixed(2)} times as long beside new tokens as beside known ones, ${ratioOfGarbage.toFixed(2)} times beside garbage`);
}
