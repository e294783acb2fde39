// How many exchanges calls cost at the machine's full rate, against the fewest that are possible, and how long calls take that
// find a delegation token and calls that do not. See benches/results/exchange.md.
import { randomUUID } from 'node:crypto';
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { auditRecords } from '../../demo/audit-log.mjs';
import { startGateway } from '../../demo/gateway.mjs';
import { ensureKeys, readJson, root } from '../../demo/keys.mjs';
import { freePort, startServer } from '../../demo/process.mjs';
import { tokenSigner } from '../../tests/envoy/support/tokens.mjs';
import { host, machine, round, start, stopAll, temporaryDirectory } from '../frame.mjs';
import { findGenerator, load, processorTime, toolCall, writeRequests } from '../generator.mjs';
import { markdown } from './report.mjs';

const CONNECTIONS = 64;
const WARM_UP = 4.5; // seconds, more than a delegation token is used
const MEASURED = 8; // about twice as long as one is
const TOOLS = ['listAccounts', 'getAccount', 'getTransactions', 'updateAccountStatus', 'getCustomerPII'];
const here = (name) => new URL(name, import.meta.url).pathname;

const state = temporaryDirectory();
const log = (name) => join(state, name);
const file = log('requests');
try {
  const others = loadavg()[0]; // what else this machine does
  const results = { load_before: round(others), ...await measure() };
  writeFileSync(join(root, 'benches/results/exchange.json'), `${JSON.stringify(results, null, 2)}\n`);
  writeFileSync(join(root, 'benches/results/exchange.md'), markdown(results));
  console.log(markdown(results));
} finally {
  await stopAll();
}

async function measure() {
  const keys = await ensureKeys(state);
  const server = await start(startServer(here('authorization-server.mjs'), { env: { STATE: state }, log: log('authorization-server.log') }));
  const upstream = await start(startServer(here('upstream.mjs'), { log: log('upstream.log') }));
  const ports = { gateway: await freePort(), admin: await freePort() };
  const place = {
    directory: state, keys, ports, log: log('envoy.log'), resource: `http://127.0.0.1:${ports.gateway}/mcp`, issuer: server.url,
    authorizationServer: host(server.url), ledger: host(upstream.url),
  };
  const generator = await findGenerator();
  const mint = caller(place, keys);

  const ask = (tokens, tools) => writeRequests(file, tokens.flatMap((token) => tools.map((tool) => toolCall(token, tool))));
  ask([mint()], TOOLS);
  const ceiling = await load(generator, { port: new URL(upstream.url).port, seconds: 2, connections: CONNECTIONS, file });
  const results = [];
  for (const workers of [1, 2]) {
    const gateway = await start(startGateway(place, { workers }));
    for (const callers of [1, 100, 1000]) {
      for (const tools of [1, 5]) {
        ask(Array.from({ length: callers }, mint), TOOLS.slice(0, tools)); // every caller calls every tool, in turn
        const before = processorTime(gateway.pid);
        const total = await load(generator, { port: ports.gateway, seconds: Math.ceil(WARM_UP + MEASURED + 0.5), connections: CONNECTIONS, file });
        const cpu = processorTime(gateway.pid) - before;
        const exchanges = await (await fetch(`${server.url}/exchanges`)).json();
        results.push({
          workers, callers, tools, ...summary(exchanges, await records(place.log)), cpu_ms_per_call: round(cpu / total.requests),
          refused: total.refused, failed: total.failed,
        });
        console.error(JSON.stringify(results.at(-1)));
      }
    }
    await gateway.stop();
  }
  return {
    machine: machine(),
    generator, connections: CONNECTIONS, measured_s: MEASURED, upstream_alone_per_s: Math.round(ceiling.requests / ceiling.seconds), results,
  };
}

/** Makes the token of a new caller. */
function caller({ issuer, resource }, keys) {
  const signed = tokenSigner(readJson(keys.authorizationServer).jwks.keys.find(({ alg }) => alg === 'ES256'));
  return () => {
    const [jti, iat] = [randomUUID(), Math.floor(Date.now() / 1000)];
    return signed({ iss: issuer, sub: `user-${jti}`, aud: resource, client_id: 'bench', scope: 'mcp:connect pii:read', iat, exp: iat + 600, jti });
  };
}

/** The audit records of one load, once all are written. */
async function records(file) {
  for (let size = -1; size !== statSync(file).size; await sleep(300)) size = statSync(file).size;
  const found = auditRecords(readFileSync(file, 'utf8'));
  truncateSync(file);
  return found;
}

function summary(exchanges, audit) {
  const from = exchanges[0][0] + WARM_UP * 1000;
  const isMeasured = (at) => at >= from && at < from + MEASURED * 1000;
  const asked = exchanges.filter(([at]) => isMeasured(at));
  const calls = audit.filter(({ time }) => isMeasured(Date.parse(time)));
  const callsByKey = Object.values(Object.groupBy(calls, ({ token_id: token, tool }) => `${token} ${tool}`)).map(({ length }) => length);
  const life = asked.reduce((sum, [, ms]) => sum + ms, 0) / asked.length / 1000;
  // A key that is called less than once in a lifetime needs no more exchanges than calls.
  const floor = callsByKey.reduce((sum, count) => sum + Math.min(count, MEASURED / life), 0);
  const of = (source) => percentiles(calls.filter(({ delegation }) => delegation?.source === source));
  return {
    ratio: round(asked.length / floor), exchanges: asked.length, floor: round(floor), active_keys: callsByKey.length, real_lifetime_s: round(life),
    calls_per_s: Math.round(calls.length / MEASURED), exchanges_per_s: Math.round(asked.length / MEASURED), cached: of('cached'), uncached: of('exchanged'),
  };
}

function percentiles(calls) {
  const sorted = calls.map(({ duration_ms: ms }) => ms).sort((a, b) => a - b);
  const at = (part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? null;
  return { calls: sorted.length, p50_ms: at(0.5), p99_ms: at(0.99) };
}
