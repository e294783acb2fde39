// Mixed good and hostile load, without pause, for long: nothing good fails, nothing hostile passes, nothing is left behind, and
// memory and latency stay flat. `make soak MINUTES=20 SEED=1` writes benches/results/soak.*; tests/envoy/soak.test.mjs has some
// seconds of it.
import assert from 'node:assert/strict';
import { createReadStream, mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { auditRecords } from '../../demo/audit-log.mjs';
import { LEDGER } from '../../demo/enterprise-ledger/delegation-token.mjs';
import { root } from '../../demo/keys.mjs';
import { JOHN, SARAH } from '../../demo/people.mjs';
import { until } from '../../demo/process.mjs';
import { random } from '../envoy/support/garbage.mjs';
import { statistic } from '../envoy/support/records.mjs';
import { startStatefulServer } from '../envoy/support/stateful-server.mjs';
import { startTarget } from '../envoy/support/target.mjs';
import { decode } from '../envoy/support/tokens.mjs';
import { GOOD, people } from './good.mjs';
import { BAD, HOSTILE } from './hostile.mjs';
import { median, quantile, sample } from './samples.mjs';

/** Between one deed of a client and the next, in milliseconds. */
const PAUSE = 100;
/** Between one push and the next: in seconds, or in so many parts of a short run. */
const [PUSHED_EVERY, PUSHES] = [10, 4];
/** Small, so that they are full long before the second quarter of twenty minutes. */
const CACHED = 500;

/**
 * How much more memory may be in use in the last quarter than in the second, as a share. There lie ten minutes of twenty between
 * their middles: at a hundred requests a second, what leaks 500 bytes of each request adds 30 MB, and Envoy uses some 150.
 */
const GROWTH = 0.1;
/** The same for latency, which depends on what else the machine does. */
const SLOWER = 3;
/** Shorter than this, the caches are still filling, and the allocator has not seen all sizes. */
const TELLING = 10; // minutes

const SETTINGS = (sessions) => ({
  'endpoints[1]': '{path: /mcp/sessions, policy: enterprise-ledger, required_scopes: ["mcp:connect"]}',
  'envoy.clusters.sessions': sessions, 'envoy.routes./mcp/sessions': 'sessions',
  'limits.cached_tokens': CACHED, 'limits.cached_delegations': CACHED,
});

/** Runs for so many `seconds`: what was seen, with everything asserted but what takes long to tell. */
export async function soak({ seconds, seed, report = () => {} }) {
  const server = await startStatefulServer();
  let target;
  try {
    target = await startTarget({ sessions: true, gateway: { set: SETTINGS(server.address) } });
    return await new Soak(target, server, seed, report).go(seconds);
  } finally {
    await target?.stop();
    await server.stop();
  }
}

class Soak {
  #running = true;
  #unexpected = [];
  #deeds = {};
  #second = { ms: [], deeds: 0 };
  #pushes = { good: 0, bad: 0 };
  samples = [];

  constructor(target, server, seed, report) {
    const { stack, port, mint } = target;
    Object.assign(this, { target, stack, server, seed, report });
    const sessions = { gatewayUrl: `${stack.gatewayUrl}/sessions` };
    const foreign = () => server.sessions[0];
    this.place = { stack, port, mint, sessions, foreign, agents: [] };
  }

  async go(seconds) {
    await this.target.assertHealthy();
    this.started = performance.now();
    const clients = [...this.#clients(GOOD, true), ...this.#clients(HOSTILE, false)];
    const others = [this.#push(seconds), this.#sample()];
    try {
      await sleep(seconds * 1000);
    } finally {
      this.#running = false;
      await Promise.all([...clients, ...others]);
      this.place.agents.forEach((agent) => agent.destroy());
    }
    assert.deepEqual(this.#unexpected, []);
    for (const [kind, count] of Object.entries(this.#deeds)) assert.ok(count > 0, kind);
    const left = await this.#assertNothingLeft();
    const reached = await this.#assertOnlyAuthorised();
    await this.target.assertServes();
    return { seconds, seed: this.seed, deeds: this.#deeds, pushes: this.#pushes, ...reached, left, load: Math.round(loadavg()[0] * 10) / 10, samples: this.samples };
  }

  #clients(kinds, isGood) {
    const makers = people(this.stack.gatewayUrl);
    return Object.entries(kinds).flatMap(([kind, { clients, make }], nth) => Array.from({ length: clients }, async (_, index) => {
      this.#deeds[kind] = 0;
      const source = random(this.seed + 1000 * nth + index + (isGood ? 500 : 0));
      const deed = make(this.place, isGood ? makers[(nth + index) % makers.length]() : undefined);
      while (this.#running) {
        try {
          const ms = await deed(source);
          this.#deeds[kind] += 1;
          this.#second.deeds += 1;
          if (ms) this.#second.ms.push(ms);
        } catch (error) {
          this.#unexpected.push(`${this.#minutes().toFixed(2)} min, ${kind}: ${error.message}`);
          this.report(this.#unexpected.at(-1));
        }
        await sleep(PAUSE);
      }
    }));
  }

  /** Good and bad configurations in turn. */
  async #push(seconds) {
    const every = Math.min(PUSHED_EVERY, seconds / PUSHES) * 1000;
    for (let nth = 1; ; nth += 1) {
      for (const end = performance.now() + every; performance.now() < end; await sleep(100)) if (!this.#running) return;
      const isGood = nth % 2 === 1;
      const set = isGood ? { 'protected_resource.resource_name': `Enterprise Ledger ${nth}` } : { 'sessions.keys_from_environment': '[DEPUTY_NO_SUCH_KEY]' };
      const became = await this.stack.reconfigure({ set }).catch((error) => error.message);
      if (became === (isGood ? 'accepted' : 'rejected')) this.#pushes[isGood ? 'good' : 'bad'] += 1;
      else this.#unexpected.push(`${this.#minutes().toFixed(2)} min, a push: ${became}`);
    }
  }

  async #sample() {
    for (let nth = 1; this.#running; nth += 1) {
      await sleep(Math.max(0, this.started + nth * 1000 - performance.now()));
      const { ms, deeds } = this.#second;
      this.#second = { ms: [], deeds: 0 };
      const unexpected = this.#unexpected.length;
      this.samples.push({ minutes: this.#minutes(), ...await sample(this.stack), deeds, calls: ms.length, p50: quantile(ms, 0.5) ?? 0, p99: quantile(ms, 0.99) ?? 0, unexpected });
      if (nth % 60 === 0) this.report(JSON.stringify(this.samples.at(-1)));
    }
  }

  #minutes() { return (performance.now() - this.started) / 60_000; }

  async #assertNothingLeft() {
    const names = ['http.gateway.downstream_cx_active', 'http.gateway.downstream_rq_active', 'cluster.authorization_server.upstream_rq_active',
      'cluster.enterprise_ledger.upstream_rq_active', 'cluster.sessions.upstream_rq_active'];
    const left = async () => Object.fromEntries(await Promise.all(names.map(async (name) => [name, await statistic(this.stack, name)])));
    await until(async () => Object.values(await left()).every((count) => count === 0), 'nothing open in Envoy').catch(() => {});
    const seen = await left();
    assert.deepEqual(Object.values(seen), names.map(() => 0), JSON.stringify(seen));
    return seen;
  }

  /** What reached the MCP servers was allowed, is in the records, and is of a token of its own for its user and scope. */
  async #assertOnlyAuthorised() {
    const allowed = new Map();
    let records = 0;
    for await (const line of createInterface({ input: createReadStream(this.stack.logs.envoy) })) {
      assert.doesNotMatch(line, /Function: \S+ failed|panicked|wasm failed/);
      for (const { decision, delegation, token_id: id } of auditRecords(line)) {
        records += 1;
        if (decision !== 'allow') continue;
        assert.ok(!id.startsWith(BAD), line);
        if (delegation) count(allowed, delegation.token_id);
      }
    }
    const scopes = { getCustomerPII: 'ledger:ReadPII', getAuditLog: 'ledger:ReadAudit' };
    let atLedger = 0;
    const arrived = new Map();
    for await (const line of createInterface({ input: createReadStream(this.stack.logs.ledger) })) {
      const { tool, verdict, status, claims: { sub, aud, scope, jti } } = JSON.parse(line);
      atLedger += 1;
      // It refuses some of what is allowed, such as batches, and no token.
      assert.ok(aud === LEDGER && (verdict === 'served' || status === 400), line);
      assert.ok(sub === SARAH.user || sub === JOHN.user && !Object.hasOwn(scopes, tool), line);
      assert.equal(scope, scopes[tool] ?? scope, line);
      count(arrived, jti);
    }
    for (const { authorization } of this.server.requests) {
      const { aud, jti } = decode(authorization);
      assert.equal(aud, LEDGER);
      count(arrived, jti);
    }
    for (const [jti, times] of arrived) assert.ok(times <= (allowed.get(jti) ?? 0), `${jti}: ${times} times, allowed ${allowed.get(jti) ?? 0}`);
    return { records, atLedger, atSessions: this.server.requests.length };
  }
}

const count = (counts, what) => counts.set(what, (counts.get(what) ?? 0) + 1);

/** By the medians of quarters, after the first: `{ growth, slower }` of the last against the second, by what was measured. */
export function trend(samples) {
  const quarter = (nth) => samples.slice(Math.floor((nth * samples.length) / 4), Math.floor(((nth + 1) * samples.length) / 4));
  const ratio = (name) => {
    const [second, last] = [1, 3].map((nth) => median(quarter(nth).map((one) => one[name])));
    return { second, last, ratio: Math.round((1000 * last) / second) / 1000 };
  };
  return Object.fromEntries(['resident', 'allocated', 'p50', 'p99'].map((name) => [name, ratio(name)]));
}

function assertFlat({ resident, allocated, p50, p99 }) {
  for (const memory of [resident, allocated]) assert.ok(memory.ratio <= 1 + GROWTH, JSON.stringify({ resident, allocated }));
  for (const latency of [p50, p99]) assert.ok(latency.ratio <= SLOWER, JSON.stringify({ p50, p99 }));
}

/** Ten seconds of samples as one: what a reader of curves can tell apart. */
function condensed(samples) {
  const names = Object.keys(samples[0]);
  const round = (value) => Math.round(value * 100) / 100;
  return Array.from({ length: Math.ceil(samples.length / 10) }, (_, nth) => {
    const ten = samples.slice(10 * nth, 10 * nth + 10);
    return Object.fromEntries(names.map((name) => [name, round(['unexpected', 'minutes'].includes(name) ? ten.at(-1)[name] : median(ten.map((one) => one[name])))]));
  });
}

async function draw(to, samples) {
  const { plot } = await import('../../benches/plot.mjs');
  const series = (...names) => Object.fromEntries(names.map((name) => [name, samples.map((one) => [one.minutes, one[name]])]));
  await plot(to, { title: 'Mixed good and hostile load', x: 'minutes', charts: [
    { title: "Envoy's memory, MiB", series: series('resident', 'heap', 'allocated') },
    { title: 'good calls, ms', series: series('p99', 'p50') },
    { title: 'open', series: series('connections', 'streams', 'upstream', 'callouts') },
    { title: 'in a second', series: series('deeds', 'calls') },
    { title: 'unexpected, in all', series: series('unexpected') },
  ] });
}

function markdown({ minutes, seed, deeds, pushes, records, atLedger, atSessions, load, trends }) {
  const cells = (...values) => `| ${values.join(' | ')} |`;
  const row = (name, unit) => cells(`${name}, ${unit}`, ...['second', 'last', 'ratio'].map((which) => trends[name][which].toFixed(which === 'ratio' ? 3 : 1)));
  const done = (kinds) => Object.entries(kinds).map(([kind, { clients }]) => cells(kind, clients, deeds[kind]));
  return `${[
    '# Soak, measured', '',
    `By \`make soak MINUTES=${minutes} SEED=${seed}\`: good and hostile clients at once, without pause, for ${minutes} minutes, through Envoy with two`,
    "workers to the demo's ledger and to a server with sessions, by tokens of the demo's authorization server, for which people sign in",
    `and step up again every half a minute. A configuration is pushed every ${PUSHED_EVERY} seconds, good and bad in turn.`, '',
    '![Memory, latency, what is open, and errors over time](soak.svg)', '',
    'It fails unless every good client gets the answer that is due each time, no hostile one gets another than its refusal, everything that',
    'reached the MCP servers was allowed in an audit record and carried a delegation token of the right user and scope, no VM',
    'failed, and nothing is open in the end.', '',
    `Of memory, the median of the last quarter may be ${100 * GROWTH} % above that of the second: between their middles lie half of all minutes, in`,
    'which a leak of a few hundred bytes a request would add more. The memory of the virtual machines is part of `resident` alone; `allocated`',
    `is what Envoy itself has in use. Latencies may be ${SLOWER} times those of the second quarter; the machine does other things too.`, '',
    cells('', 'second quarter', 'last quarter', 'ratio'), '|---|---|---|---|',
    row('resident', 'MiB'), row('allocated', 'MiB'), row('p50', 'ms'), row('p99', 'ms'), '',
    cells('good clients', 'how many', 'times'), '|---|---|---|', ...done(GOOD), '',
    cells('hostile clients', 'how many', 'times'), '|---|---|---|', ...done(HOSTILE), '',
    `${pushes.good} pushes were taken and ${pushes.bad} refused. ${records} audit records were left; ${atLedger} requests reached the ledger and ${atSessions} the server with`,
    `sessions. The machine's load average was ${load}, on ${availableParallelism()} processors, which the load and all servers share.`,
  ].join('\n')}\n`;
}

if (import.meta.main) {
  const [minutes, seed] = [Number(process.argv[2] ?? 20), Number(process.argv[3] ?? 1)];
  const { samples, ...run } = await soak({ seconds: 60 * minutes, seed, report: console.log });
  const trends = trend(samples);
  console.log(run, trends);
  const results = join(root, 'benches/results');
  mkdirSync(results, { recursive: true });
  const seen = { minutes, ...run, trends, samples: condensed(samples) };
  writeFileSync(join(results, 'soak.json'), `${JSON.stringify(seen)}\n`);
  writeFileSync(join(results, 'soak.md'), markdown(seen));
  await draw(join(results, 'soak.svg'), seen.samples);
  if (minutes >= TELLING) assertFlat(trends);
}
