// What the filter costs a request, against Envoy without it and against the other ways. See benches/results/gateway.md.
import { execFile } from 'node:child_process';
import { createPrivateKey, randomUUID, sign } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startGateway } from '../../demo/gateway.mjs';
import { ensureKeys, readJson } from '../../demo/keys.mjs';
import { freePort, startServer } from '../../demo/process.mjs';
import { startUpstream } from './upstream.mjs';
import { GATEWAYS, VARIANTS } from './variants.mjs';

const { ROUNDS = 5, SECONDS = 2, ONLY = '' } = process.env;
const CONNECTIONS = 16;
const here = (name) => new URL(name, import.meta.url).pathname;
const run = promisify(execFile);

const state = mkdtempSync(join(tmpdir(), 'deputy-bench-'));
const started = [];
process.on('exit', () => rmSync(state, { recursive: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));
const start = async (server) => {
  started.push(await server);
  return started.at(-1);
};
const log = (name) => join(state, name);
const host = (url) => new URL(url).host;

try {
  await measure();
} finally {
  for (const one of started.reverse()) await one.stop();
}

async function measure() {
  const keys = await ensureKeys(state);
  const server = await start(startServer(here('../exchange/authorization-server.mjs'), { env: { STATE: state }, log: log('authorization-server.log') }));
  const upstream = await start(startUpstream(state, {}));
  const place = { resource: 'http://gateway/mcp', issuer: server.url, upstream: host(upstream.url), jwks: readFileSync(keys.jwks, 'utf8') };
  const variants = VARIANTS.filter(({ name }) => name.includes(ONLY) || name === 'pass-through');
  const gateways = {};
  for (const name of new Set(variants.map(({ gateway }) => gateway))) gateways[name] = await gateway(name, place, keys);
  const token = caller(place, keys);
  for (const [index, variant] of variants.entries()) {
    variant.file = log(`requests-${index}`);
    writeRequests(variant.file, [token()], variant);
  }
  const times = variants.map(() => []);
  for (let round = 0; round < Number(ROUNDS); round += 1) {
    const order = variants.map((_, index) => index);
    if (round % 2) order.reverse();
    for (const index of order) times[index].push(await load(gateways[variants[index].gateway], variants[index].file));
  }
  console.log(`load ${loadavg()[0]}, ${cpus()[0].model}`);
  for (const [index, { name }] of variants.entries()) {
    const ratios = times[index].map(({ cpu }, round) => cpu / times[0][round].cpu).sort((a, b) => a - b);
    const all = times[index];
    console.log(name.padEnd(36), median(ratios).toFixed(2), `[${ratios[0].toFixed(2)} ${ratios.at(-1).toFixed(2)}]`,
      `${(median(all.map(({ cpu }) => cpu)) * 1000).toFixed(0)} us`, `${Math.round(median(all.map(({ rate }) => rate)))}/s`,
      `p50 ${median(all.map(({ p50_ms }) => p50_ms)).toFixed(2)} p99 ${median(all.map(({ p99_ms }) => p99_ms)).toFixed(2)}`,
      `bad ${all.reduce((sum, { bad }) => sum + bad, 0)}`);
  }
}

async function gateway(name, place, keys) {
  const ports = { gateway: await freePort(), admin: await freePort() };
  const edits = GATEWAYS[name](place);
  const edit = { ...edits, 'envoy.yaml': (text) => (edits['envoy.yaml'] ?? ((same) => same))(withoutAccessLog(text)) };
  const directory = join(state, name);
  const one = await start(startGateway({
    directory, keys, ports, log: log(`${name}.log`), resource: place.resource, issuer: place.issuer,
    authorizationServer: host(place.issuer), ledger: place.upstream,
  }, { config: here('deputy.yaml'), edit, workers: 1 }));
  return { ...one, port: ports.gateway };
}

/** The record of the filter is in Envoy's own log: no other variant has one. */
function withoutAccessLog(text) { return text.replace(/ +access_log:\n[^]*?\n(?= +http_filters:)/, ''); }

/** Makes the token of a new caller. */
function caller({ issuer, resource }, keys) {
  const jwk = readJson(keys.authorizationServer).jwks.keys.find(({ alg }) => alg === 'RS256');
  const key = createPrivateKey({ key: jwk, format: 'jwk' });
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return () => {
    const [jti, iat] = [randomUUID(), Math.floor(Date.now() / 1000)];
    const claims = { iss: issuer, sub: `user-${jti}`, aud: resource, client_id: 'bench', scope: 'mcp:connect', iat, exp: iat + 3600, jti };
    const input = `${encode({ alg: 'RS256', typ: 'at+jwt', kid: jwk.kid })}.${encode(claims)}`;
    return `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`;
  };
}

function writeRequests(file, tokens, { path = '/mcp', call, bytes = 300 }) {
  const requests = tokens.map((token) => {
    const empty = JSON.stringify({ jsonrpc: '2.0', id: 1, ...call, params: { ...call.params, _meta: { progressToken: '' } } });
    const progressToken = 'x'.repeat(Math.max(0, bytes - empty.length));
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, ...call, params: { ...call.params, _meta: { progressToken } } });
    const request = [`POST ${path} HTTP/1.1`, 'host: gateway', 'content-type: application/json', 'accept: application/json, text/event-stream',
      'mcp-protocol-version: 2025-11-25', 'user-agent: bench', `authorization: Bearer ${token}`, `content-length: ${body.length}`, '', body].join('\r\n');
    return `${request.length}\n${request}`;
  });
  writeFileSync(file, requests.join(''));
}

async function load({ pid, port }, file) {
  const before = processorTime(pid);
  const { stdout } = await run('wrk', ['-t1', `-c${CONNECTIONS}`, `-d${SECONDS}s`, '-s', here('../exchange/load.lua'), `http://127.0.0.1:${port}/mcp`, '--', file]);
  const cpu = processorTime(pid) - before;
  const { requests, seconds, refused, failed, ...more } = JSON.parse(stdout.trim().split('\n').at(-1));
  return { cpu: cpu / requests, rate: requests / seconds, bad: refused + failed, ...more };
}

/** In ms, of all threads of a process, to the nanosecond (Documentation/scheduler/sched-stats). */
function processorTime(pid) {
  const threads = readdirSync(`/proc/${pid}/task`);
  return threads.reduce((sum, id) => sum + Number(readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'utf8').split(' ')[0]), 0) / 1e6;
}

function median(numbers) { return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]; }
