// What the filter costs a request, against Envoy without it and against other ways. See benches/results/gateway.md.
//
//   ROUNDS, SECONDS   how often each variant is measured, and for how long each time
//   ONLY              a part of the titles of the groups to measure; then nothing is written
//   AGENTGATEWAY      the program of agentgateway; without it, nothing is measured against that
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { DEPUTY_WASM, startGateway } from '../../demo/gateway.mjs';
import { ensureKeys, root } from '../../demo/keys.mjs';
import { freePort, startServer, until } from '../../demo/process.mjs';
import { host, machine, median, round, start, stopAll, temporaryDirectory } from '../frame.mjs';
import { load, processorTime, run } from '../generator.mjs';
import { bars } from '../plot.mjs';
import { AGENTGATEWAY, startAgentgateway } from './agentgateway.mjs';
import { markdown } from './report.mjs';
import { caller, checkCall, openSession, writeCalls } from './requests.mjs';
import { startUpstream, toolList } from './upstream.mjs';
import { GATEWAYS, GROUPS, WARM } from './variants.mjs';

const { ROUNDS = '7', SECONDS = '2', ONLY = '' } = process.env;
const here = (name) => new URL(name, import.meta.url).pathname;

const state = temporaryDirectory();
// Envoy watches the directory of its secret, so nothing else may be written there.
mkdirSync(join(state, 'logs'));
const log = (name) => join(state, 'logs', name);

await run('wrk', ['--version']).catch((error) => {
  if (error.code === 'ENOENT') throw new Error('wrk is missing; Debian has it as `wrk`');
});
if (!AGENTGATEWAY) console.error('Nothing is measured against agentgateway: AGENTGATEWAY does not name its program.');
try {
  const results = { load_before: round(loadavg()[0]), ...await measure() };
  const name = AGENTGATEWAY ? 'gateway-with-agentgateway' : 'gateway';
  const text = markdown(results, `${name}.svg`);
  console.log(text);
  if (!ONLY) {
    const file = join(root, 'benches/results', name);
    writeFileSync(`${file}.json`, `${JSON.stringify(results, null, 2)}\n`);
    writeFileSync(`${file}.md`, text);
    await draw(`${file}.svg`, results);
  }
} finally {
  await stopAll();
}

/** CPU per request of the first group. */
async function draw(file, { groups: [{ title, variants }] }) {
  const shown = variants.filter(({ name }) => !name.includes('cold')); // many times as long
  await bars(file, {
    title, x: 'CPU of Envoy per request, ratio to Envoy without filters',
    values: shown.map(({ name, cpu_ratio: value, cpu_ratio_from: low, cpu_ratio_to: high }) => ({ name, value, low, high, isOurs: name.startsWith('Deputy') })),
  });
}

async function measure() {
  const agentgateway = AGENTGATEWAY && await agentgatewayVersion();
  const keys = await ensureKeys(state);
  const server = await start(startServer(here('../exchange/authorization-server.mjs'), { env: { STATE: state }, log: log('authorization-server.log') }));
  const groups = Object.entries(GROUPS).filter(([title]) => title.includes(ONLY));
  const upstreams = {
    direct: await start(startUpstream(log('.'), answers(groups))),
    sdk: await start(startServer(here('mcp-server.mjs'), { log: log('mcp-server.log') })),
  };
  const behind = (upstream) => ({
    resource: 'http://gateway/mcp', issuer: server.url, upstream: host(upstreams[upstream].url), jwks: readFileSync(keys.jwks, 'utf8'), keys,
  });
  const place = behind('direct');
  const gateways = new Map();
  const known = caller(place)();
  const variants = [];
  for (const [title, group] of groups) {
    for (const one of group) {
      const { gateway: what, workers = 1, upstream = 'direct' } = one;
      const key = `${what}/${workers}${upstream === 'direct' ? '' : `/${upstream}`}`;
      if (!gateways.has(key)) gateways.set(key, await gateway(one, behind(upstream), key));
      const variant = { ...one, title, base: group[0], at: gateways.get(key), file: log(`requests-${variants.length}`), times: [] };
      if (one.inSession) {
        variant.session = await openSession(variant.at.port, known, variant);
        await checkCall(variant.at.port, known, variant);
      }
      const another = caller(place);
      writeCalls(variant.file, one.tokens ? Array.from({ length: one.tokens }, another) : [known], variant);
      await timed(variant, 0.5); // caches fill, code is compiled
      variants.push(variant);
    }
  }
  // There and back, so that what changes with time changes all alike; a group's variants one after another.
  for (let count = 0; count < Number(ROUNDS); count += 1) {
    for (const variant of count % 2 ? variants.toReversed() : variants) variant.times.push(await timed(variant, SECONDS));
    console.error(`round ${count + 1} of ${ROUNDS}, load average ${loadavg()[0]}`);
  }
  for (const variant of variants.filter(({ inSession }) => inSession)) await checkCall(variant.at.port, known, variant);
  const starts = [];
  for (const [name, one] of gateways) if (!name.endsWith('/sdk')) starts.push(await memory(name, one));
  if (!ONLY) starts.push(await withFullCaches(place));
  return {
    machine: machine(),
    agentgateway,
    rounds: Number(ROUNDS), seconds: Number(SECONDS), wasm_bytes: statSync(DEPUTY_WASM).size, starts,
    groups: groups.map(([title, group]) => ({ title, variants: group.map((one) => summary(variants, title, one.name)) })),
  };
}

/** One that is called by as many as its cache of tokens holds by default, each for the first time, and exchanges for each. */
async function withFullCaches(place) {
  const callers = 10_000;
  const one = await gateway({ gateway: 'deputy' }, place, 'deputy/full');
  const file = log('requests-full');
  writeCalls(file, Array.from({ length: callers }, () => caller(place)()), { call: WARM });
  // Each load begins with the first caller.
  for (let seconds = 10, called = 0; called < callers; seconds *= 2) {
    const { requests, refused, failed } = await load('wrk', { port: one.port, seconds, connections: 16, file });
    if (refused + failed > 0) throw new Error(`of ${requests} calls ${refused + failed} were not answered as they were due to be`);
    called = requests;
  }
  return memory(`deputy, ${callers} callers/1`, one);
}

/** What a gateway held at rest and holds now; and of that what the virtual machine does which has most, as the filter says at pushes. */
async function memory(name, { start_ms, rest_mb, pid, envoyLog, reconfigure }) {
  const measured = { name, start_ms, rest_mb, after_mb: resident(pid) };
  if (!name.startsWith('deputy')) return measured;
  // Envoy takes its time to write; and there is a line for each call.
  const said = async () => (await run('grep', ['-o', 'configuration accepted.*', envoyLog])).stdout.match(/\d+(?= KiB of memory)/g).map((kib) => kib / 1024);
  const { length: pushed } = await until(said, 'the record of the first push', { seconds: 30 });
  await reconfigure({ set: { 'limits.decision_time': '9s' } });
  const both = async () => {
    const all = await said();
    return all.length >= 2 * pushed && all;
  };
  const all = await until(both, 'the record of another push', { seconds: 30 });
  return { ...measured, vm_rest_mib: round(Math.max(...all.slice(0, pushed))), vm_after_mib: round(Math.max(...all.slice(pushed))) };
}

function answers(groups) {
  const lists = groups.flatMap(([, group]) => group).filter(({ list }) => list);
  return Object.fromEntries(lists.map(({ path, list }) => [path.split('/').at(-1), answer(path.includes('events'), list)]));
}

/** An event may have 8 MiB. */
function answer(isStream, list) {
  if (!isStream) return { type: 'application/json', body: toolList(list) };
  const events = Math.ceil(list / 1e6);
  return { type: 'text/event-stream', body: `event: message\ndata: ${toolList(list / events)}\n\n`.repeat(events) };
}

async function gateway({ gateway: name, workers = 1, path, logLevel }, place, label) {
  const port = await freePort();
  const own = log(label.replaceAll('/', '-'));
  const before = performance.now();
  const one = await start(name === 'agentgateway' ? startAgentgateway(own, place, { port, path, workers }) : envoy(name, place, { own, port, workers }));
  if (logLevel) await fetch(`${one.adminUrl}/logging?wasm=${logLevel}`, { method: 'POST' });
  return { ...one, port, start_ms: Math.round(performance.now() - before), rest_mb: resident(one.pid) };
}

async function envoy(name, place, { own, port, workers }) {
  const ports = { gateway: port, admin: await freePort() };
  const edits = GATEWAYS[name](place, own);
  const edit = { ...edits, 'envoy.yaml': (text) => (edits['envoy.yaml'] ?? ((same) => same))(withoutAccessLog(text)) };
  const one = await startGateway({
    directory: own, keys: place.keys, ports, log: `${own}.log`, resource: place.resource, issuer: place.issuer,
    authorizationServer: host(place.issuer), ledger: place.upstream,
    // As in production, Envoy writes its log to a file: to a pipe, each line would cost a system call and a switch to its reader.
  }, { config: here('deputy.yaml'), edit, workers, args: ['--log-path', `${own}.envoy.log`], env: { BENCH_SESSION_KEY: randomBytes(32).toString('hex') } });
  return Object.assign(one, { envoyLog: `${own}.envoy.log` });
}

/** Of agentgateway, as it says itself: of which revision of its source it is, and how it was built. */
async function agentgatewayVersion() { return JSON.parse((await run(AGENTGATEWAY, ['--version'])).stdout); }

/** The record of the filter is in Envoy's own log; no other variant has one. */
function withoutAccessLog(text) { return text.replace(/ +access_log:\n[^]*?\n(?= +http_filters:)/, ''); }

async function timed({ name, title, at: { pid, port }, file, http2, denied, connections = 16 }, duration) {
  const before = processorTime(pid);
  const total = await load(http2 ? 'http2' : 'wrk', { port, seconds: http2 ? duration : Math.ceil(duration), connections, file });
  const cpu = processorTime(pid) - before;
  const { requests, seconds: taken, refused, failed, p50_ms, p99_ms } = total;
  if (requests === 0) throw new Error(`${title}, ${name}: nothing was answered`);
  return { cpu_us: cpu * 1000 / requests, per_s: requests / taken, p50_ms, p99_ms, bad: failed + (denied ? requests - refused : refused) };
}

/** In MB. */
function resident(pid) { return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1e3); }

/** Ratios and differences are of the same round; what is told of them is their median. */
function summary(variants, title, name) {
  const { times, base, list } = variants.find((one) => one.title === title && one.name === name);
  const { times: others } = variants.find((one) => one.title === title && one.name === base.name);
  const of = (key) => round(median(times.map((time) => time[key])));
  const paired = (compare) => times.map((time, index) => compare(time, others[index])).sort((a, b) => a - b);
  const ratios = paired((one, other) => one.cpu_us / other.cpu_us);
  const added = median(paired((one, other) => one.cpu_us - other.cpu_us));
  return {
    name, cpu_ratio: round(median(ratios)), cpu_ratio_from: round(ratios[0]), cpu_ratio_to: round(ratios.at(-1)), cpu_us: of('cpu_us'), cpu_us_added: round(added),
    rate_ratio: round(median(paired((one, other) => one.per_s / other.per_s))), per_s: of('per_s'), p50_ms: of('p50_ms'), p99_ms: of('p99_ms'),
    p99_ms_added: round(median(paired((one, other) => one.p99_ms - other.p99_ms))), not_as_due: times.reduce((sum, { bad }) => sum + bad, 0),
    ...list && added > 0 && { list_mb_per_s: Math.round(list / added) },
  };
}
