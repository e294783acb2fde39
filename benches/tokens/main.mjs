// What a call costs Envoy, by whether its token is known, by the token's algorithm, and by who checks the signature. See
// benches/results/tokens.md.
//
//   node main.mjs ROUNDS SECONDS
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { DEPUTY_WASM, startGateway } from '../../demo/gateway.mjs';
import { ensureKeys, publicPart, root } from '../../demo/keys.mjs';
import { freePort, startServer } from '../../demo/process.mjs';
import { tokenSigner } from '../../tests/envoy/support/tokens.mjs';
import { writeWasmWithoutVerifySignature } from '../../tests/envoy/support/wasm-without-verify-signature.mjs';
import { host, machine, median, round, start, stopAll, temporaryDirectory } from '../frame.mjs';
import { findGenerator, load, processorTime, run, toolCall, writeRequests } from '../generator.mjs';
import { markdown } from './report.mjs';

const [ROUNDS, SECONDS] = process.argv.slice(2).map(Number);
const CONNECTIONS = 16;
const TOKENS = 64; // more than the one that a gateway for new tokens remembers
const LIFETIME = 3000; // seconds: nothing is exchanged while it is measured
const RESOURCE = 'https://gateway.example/mcp';

const newKey = (kid, ...kind) => ({ ...generateKeyPairSync(...kind).privateKey.export({ format: 'jwk' }), kid });
const rsa = newKey('rsa', 'rsa', { modulusLength: 2048 });
const ALGORITHMS = {
  RS256: rsa,
  PS256: rsa,
  ES256: newKey('p256', 'ec', { namedCurve: 'P-256' }),
  ES384: newKey('p384', 'ec', { namedCurve: 'P-384' }),
  EdDSA: newKey('ed25519', 'ed25519'),
};
const VARIANTS = [
  { name: 'Envoy without the filter', gateway: 'bare', algorithm: 'RS256' },
  { name: 'known token', gateway: 'known', algorithm: 'RS256' },
  ...['RS256', 'ES256', 'ES384'].map((algorithm) => ({ name: `new token, ${algorithm} by Envoy`, gateway: 'byEnvoy', algorithm })),
  ...Object.keys(ALGORITHMS).map((algorithm) => ({ name: `new token, ${algorithm} in WebAssembly`, gateway: 'inWasm', algorithm })),
];

const state = temporaryDirectory();
try {
  const results = { load_before: round(loadavg()[0]), ...await measure() };
  writeFileSync(join(root, 'benches/results/tokens.json'), `${JSON.stringify(results, null, 2)}\n`);
  writeFileSync(join(root, 'benches/results/tokens.md'), markdown(results));
  console.log(markdown(results));
} finally {
  await stopAll();
}

async function measure() {
  const keys = await ensureKeys(state);
  const server = await start(startServer(join(root, 'benches/exchange/authorization-server.mjs'), {
    env: { STATE: state, LIFETIME: String(LIFETIME) }, log: join(state, 'authorization-server.log'),
  }));
  const upstream = await start(startServer(join(root, 'benches/exchange/upstream.mjs'), { log: join(state, 'upstream.log') }));
  const gateways = await startGateways(keys, server.url, upstream.url);
  for (const algorithm of Object.keys(ALGORITHMS)) writeRequests(requests(algorithm), tokens(algorithm, server.url).map((token) => toolCall(token, 'listAccounts')));

  const generator = await findGenerator();
  const once = async ({ gateway, algorithm }, seconds) => {
    const { pid, port } = gateways[gateway];
    const before = processorTime(pid);
    const total = await load(generator, { port, seconds, connections: CONNECTIONS, file: requests(algorithm) });
    if (total.refused + total.failed > 0) throw new Error(`${gateway} ${algorithm}: ${JSON.stringify(total)}`);
    return { requests: total.requests, cpu_us: (processorTime(pid) - before) * 1000 / total.requests, per_s: total.requests / total.seconds };
  };
  // Every delegation token is there before anything counts.
  for (const variant of VARIANTS) await once(variant, 2);
  const exchanges = async () => (await (await fetch(`${server.url}/exchanges`)).json()).length;
  await exchanges();
  const rounds = [];
  for (let i = 0; i < ROUNDS; i += 1) {
    const samples = [];
    for (const variant of VARIANTS) samples.push(await once(variant, SECONDS));
    rounds.push(samples);
    console.error(`round ${i + 1}: ${samples.map(({ cpu_us: cpu }) => Math.round(cpu)).join(' ')} us`);
  }
  const [exchanged, calls] = [await exchanges(), rounds.flat().reduce((sum, { requests: count }) => sum + count, 0)];
  if (exchanged > calls / 1000) throw new Error(`${exchanged} exchanges for ${calls} calls: it is not checks that were measured`);
  const [bare, known] = [0, 1];
  const of = (value) => round(median(rounds.map(value)), 3);
  return {
    machine: machine(),
    generator, connections: CONNECTIONS, rounds: ROUNDS, seconds: SECONDS, calls, exchanged,
    variants: VARIANTS.map(({ name }, index) => ({
      name,
      cpu_ratio: of((samples) => samples[index].cpu_us / samples[bare].cpu_us),
      rate_ratio: of((samples) => samples[index].per_s / samples[bare].per_s),
      cpu_us: of((samples) => samples[index].cpu_us),
      check_us: index > known ? of((samples) => samples[index].cpu_us - samples[known].cpu_us) : null,
      lowest_ratio: round(Math.min(...rounds.map((samples) => samples[index].cpu_us / samples[bare].cpu_us)), 3),
      highest_ratio: round(Math.max(...rounds.map((samples) => samples[index].cpu_us / samples[bare].cpu_us)), 3),
    })),
    openssl: await openssl(),
  };
}

/** One without the filter; one that remembers all tokens; and two that remember one, so that each request's is new to them. */
async function startGateways(keys, issuer, upstream) {
  const inWasm = join(state, 'in-wasm.wasm');
  writeWasmWithoutVerifySignature(DEPUTY_WASM, inWasm);
  const policies = join(state, 'policies');
  cpSync(join(root, 'policies'), policies, { recursive: true });
  const policy = join(policies, 'enterprise-ledger.yaml');
  writeFileSync(policy, readFileSync(policy, 'utf8').replace('lifetime: 5s', `lifetime: ${LIFETIME}s`));
  const distinct = [...new Set(Object.values(ALGORITHMS))].map(publicPart);
  const addKeys = (text) => text.replace('"keys": [', (head) => head + distinct.map((key) => `${JSON.stringify(key)},`).join(''));
  const dropFilter = (text) => text.replace(/^ *- name: deputy\n[^]*?(?=^ *- name: envoy\.filters\.http\.router$)/m, '');
  const one = async (name, { set = {}, edit = {} } = {}) => {
    const ports = { gateway: await freePort(), admin: await freePort() };
    const directory = join(state, name);
    mkdirSync(directory);
    const place = { directory, keys, ports, log: join(directory, 'envoy.log'), resource: RESOURCE, issuer, authorizationServer: host(issuer), ledger: host(upstream) };
    const gateway = await start(startGateway(place, { workers: 1, set: { policies, ...set }, edit: { 'filter.yaml': addKeys, ...edit } }));
    return { pid: gateway.pid, port: ports.gateway };
  };
  return {
    bare: await one('bare', { edit: { 'envoy.yaml': dropFilter } }),
    known: await one('known'),
    byEnvoy: await one('by-envoy', { set: { 'limits.cached_tokens': 1 } }),
    inWasm: await one('in-wasm', { set: { 'limits.cached_tokens': 1, 'envoy.wasm': inWasm } }),
  };
}

function requests(algorithm) { return join(state, `requests-${algorithm}`); }

function tokens(alg, issuer) {
  const signed = tokenSigner(ALGORITHMS[alg], alg);
  const iat = Math.floor(Date.now() / 1000);
  return Array.from({ length: TOKENS }, () => {
    const jti = randomUUID();
    return signed({ iss: issuer, sub: `user-${jti}`, aud: RESOURCE, client_id: 'bench', scope: 'mcp:connect pii:read', iat, exp: iat + LIFETIME + 300, jti });
  });
}

/** What one check costs `openssl speed`, in us, by algorithm. */
async function openssl() {
  const names = { rsa2048: /^\+F2:\d+:2048:/, ecdsap256: /^\+F4:\d+:256:/, ecdsap384: /^\+F4:\d+:384:/, ed25519: /^\+F6:\d+:253:/ };
  const { stdout } = await run('openssl', ['speed', '-mr', '-seconds', String(SECONDS), ...Object.keys(names)]);
  const lines = stdout.split('\n');
  const perSecond = (pattern) => Number(lines.find((line) => pattern.test(line))?.split(':').at(-1));
  const { stdout: version } = await run('openssl', ['version']);
  return { version: version.trim(), verify_us: Object.fromEntries(Object.entries(names).map(([name, pattern]) => [name, round(1e6 / perSecond(pattern), 1)])) };
}
