// Chaos at the authorization server: its mood changes while 50 clients call without pause. `make chaos` runs it for a minute
// and writes benches/results/chaos-exchange.*; tests/envoy/chaos.test.mjs for some seconds.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { root } from '../../demo/keys.mjs';
import { JOHN, SARAH } from '../../demo/people.mjs';
import { until } from '../../demo/process.mjs';
import { Target } from '../envoy/support/attacks.mjs';
import { atRest, call, inboundToken, LEDGER, ScriptedServer, startScriptedStack, toolCall } from '../envoy/support/faults.mjs';
import { random } from '../envoy/support/garbage.mjs';
import { MOODS, MoodyServer, OUTAGES, schedule } from './moods.mjs';

const CLIENTS = 50;
const RESULTS_PER_TOKEN = 25;
const TIMEOUT = 1; // seconds, of one server
const DECISION_TIME = 10; // seconds
/** Seconds in which every call is answered on a busy machine too. */
const ENOUGH = DECISION_TIME + 5;
const LEEWAY = 1; // seconds; the ledger's

export const VARIANTS = { 'one server': false, failover: true };

const USERS = [
  { sub: SARAH.user, scope: 'mcp:connect pii:read audit:read', account: 'ACC-1001' },
  { sub: JOHN.user, scope: 'mcp:connect', account: 'ACC-1002' },
];

const TOOLS = {
  listAccounts: { scope: 'ledger:ListAccounts' },
  getAccount: { scope: 'ledger:GetAccount', args: ({ account }) => ({ accountId: account }) },
  getTransactions: { scope: 'ledger:ListTransactions', args: ({ account }) => ({ accountId: account }) },
  // The ledger keeps who did it: each user has an account of their own to do it to.
  updateAccountStatus: { scope: 'ledger:UpdateAccount', args: ({ account }) => ({ accountId: account, status: 'active' }) },
  getCustomerPII: { scope: 'ledger:ReadPII', needs: 'pii:read', args: () => ({ customerId: 'CUST-001' }) },
};

/** Runs one variant: what came of it, with everything asserted but how fast it recovers. */
export async function chaos({ seconds, seed, failover }) {
  const backup = failover ? await ScriptedServer.start() : undefined;
  try {
    const set = { 'exchange.timeout': `${TIMEOUT}s`, 'limits.decision_time': `${DECISION_TIME}s`,
      ...backup && { 'envoy.clusters.backup': backup.address, 'exchange.failover': '{cluster: backup}' } };
    const { stack, scripted } = await startScriptedStack({ gateway: { set } });
    try {
      const run = new Run(stack, new MoodyServer(scripted, stack), seed);
      if (backup) {
        backup.realUrl = stack.authorizationServerUrl;
        run.backup = new MoodyServer(backup, stack);
      }
      return await run.go(seconds);
    } finally {
      await stack.stop();
    }
  } finally {
    await backup?.stop();
  }
}

class Run {
  #answers = [];
  #running = true;

  constructor(stack, server, seed) {
    Object.assign(this, { stack, server, seed, target: new Target(stack) });
  }

  async go(seconds) {
    await this.target.assertHealthy();
    const before = this.stack.ledgerRequests().length;
    const clients = Array.from({ length: CLIENTS }, (_, index) => this.#client(index));

    const turns = schedule(random(this.seed), seconds);
    let turned;
    try {
      // A call that waits for a silent server waits longest.
      for (const { mood, lasts } of [...turns, { mood: 'silent', lasts: 500 }]) {
        await this.server.turn(mood);
        await sleep(lasts);
      }
      await this.server.turn('fine');
      turned = performance.now();
      const isServed = (index) => this.#answers.some((answer) => answer.index === index && answer.at > turned && answer.kind === 'result');
      await until(() => clients.every((_, index) => isServed(index)), 'every client served again', { seconds: ENOUGH });
      await sleep(1000); // and they stay so
    } finally {
      this.#running = false;
      await Promise.all(clients);
    }

    await atRest(this.stack);
    this.#assertAnswers();
    const requests = this.stack.ledgerRequests().slice(before);
    this.#assertDelegated(requests);
    await this.#assertRecorded(requests);
    await this.#assertAttributed();
    await this.target.assertHealthy();
    return this.#report(turned, turns.length + 1);
  }

  /** Calls one after another on one connection, as one user, with a new access token after some results. */
  async #client(index) {
    const user = USERS[index % USERS.length];
    const [source, agent] = [random(this.seed + index), new Agent({ keepAlive: true, maxSockets: 1 })];
    for (let results = 0, access; this.#running;) {
      if (!access || results === RESULTS_PER_TOKEN) {
        [access, results] = [await inboundToken(this.stack, { sub: user.sub, scope: user.scope }), 0];
      }
      const tool = source.pick(Object.keys(TOOLS));
      const body = toolCall(tool, TOOLS[tool].args?.(user));
      const [at, { mood }] = [performance.now(), this.server];
      const answer = await call(this.stack, access.token, body, agent).catch((error) => ({ error: error.message }));
      const ended = performance.now();
      const kind = kindOf(answer, TOOLS[tool], user);
      this.#answers.push({ index, user: user.sub, token: access.id, tool, at, ended, mood, status: answer.status, kind });
      if (kind === 'result') results += 1;
      else await sleep(20); // fifty times sooner than it is told
    }
    agent.destroy();
  }

  #assertAnswers() {
    const kinds = ['result', 'try later', 'no usable token', 'scope missing'];
    assert.deepEqual([...new Set(this.#answers.map(({ kind }) => kind))].filter((kind) => !kinds.includes(kind)), []);
    const longest = longestOf(this.#answers);
    assert.ok(longest < ENOUGH * 1000, `the longest took ${longest} ms`);
    assert.ok(kinds.every((kind) => this.backup && kind === 'try later' || this.#count(kind)), 'each kind of answer came up');
  }

  /** What reached the ledger: a token that it verified, made in good faith for this tool, and still fresh. */
  #assertDelegated(requests) {
    const { foreign } = this.server;
    for (const { time, tool, claims, verdict } of requests) {
      assert.equal(verdict, 'served');
      const { scope, aud, sub, exp, jti } = claims;
      assert.deepEqual({ scope, aud, sub }, { scope: TOOLS[tool].scope, aud: LEDGER, sub: this.#issued(jti)?.subject });
      assert.ok(Date.parse(time) / 1000 <= exp + LEEWAY, 'fresh');
      assert.ok(!foreign.has(jti));
    }
    assert.equal(requests.length, this.#count('result'), 'each request gave a result, and nothing else reached the ledger');
  }

  /** Each answer has its record, and each record of a result the delegation that was made for that very access token. */
  async #assertRecorded(requests) {
    const tokens = new Set(this.#answers.map(({ token }) => token));
    const records = await until(() => {
      const own = this.stack.auditRecords().filter(({ token_id: id }) => tokens.has(id));
      return own.length >= this.#answers.length && own;
    }, 'the audit records', { seconds: 60 });
    assert.deepEqual(tally(records, ({ token_id: token, tool, status }) => `${token} ${tool} ${status}`),
      tally(this.#answers, ({ token, tool, status }) => `${token} ${tool} ${status}`));
    const served = records.filter(({ status }) => status === 200);
    for (const { token_id: token, delegation } of served) assert.equal(this.#issued(delegation.token_id)?.token_id, token);
    assert.deepEqual(tally(served, ({ delegation, tool }) => `${delegation.token_id} ${tool}`), tally(requests, ({ claims, tool }) => `${claims.jti} ${tool}`));
  }

  /** By the ledger's own book, everybody changed their own account alone. */
  async #assertAttributed() {
    const { token } = await inboundToken(this.stack, { sub: SARAH.user });
    const { message } = await call(this.stack, token, toolCall('getAuditLog', { limit: 100 }));
    const { entries } = message.result.structuredContent;
    const seen = new Set(entries.map(({ subject, account_id: account }) => `${subject} ${account}`));
    const may = USERS.map(({ sub, account }) => `${sub} ${account}`);
    assert.deepEqual([...seen].sort().filter((one) => !one.endsWith('ACC-2001')), may.sort()); // which was there before
  }

  #issued(jti) { return this.server.issued.get(jti) ?? this.backup?.issued.get(jti); }

  #count(kind, among = this.#answers) { return among.filter((answer) => answer.kind === kind).length; }

  #report(turned, turns) {
    const ms = (duration) => Math.round(duration);
    const byMood = Object.fromEntries(MOODS.map((mood) => {
      const during = this.#answers.filter((answer) => answer.mood === mood && answer.at < turned && answer.kind !== 'scope missing');
      const count = (kind) => this.#count(kind, during);
      return [mood, { calls: during.length, result: count('result'), tryLater: count('try later'), noUsableToken: count('no usable token'),
        longest_ms: ms(longestOf(during)) }];
    }));
    const firstServed = (index) => this.#answers.find((answer) => answer.index === index && answer.at > turned && answer.kind === 'result').ended;
    const recovered = Math.max(...Array.from({ length: CLIENTS }, (_, index) => firstServed(index)));
    const refused = this.#answers.filter(({ kind }) => ['try later', 'no usable token'].includes(kind));
    const lastRefused = Math.max(turned, refused.at(-1)?.ended ?? 0);
    return {
      turns, calls: this.#answers.length, result: this.#count('result'), tryLater: this.#count('try later'),
      noUsableToken: this.#count('no usable token'), scopeMissing: this.#count('scope missing'),
      exchanges: this.server.asked, exchangesAtBackup: this.backup?.asked ?? 0,
      longest_ms: ms(longestOf(this.#answers)),
      recovery_ms: ms(recovered - turned), lastRefused_ms: ms(lastRefused - turned), load: Math.round(loadavg()[0] * 10) / 10, byMood,
    };
  }
}

/** What a client was told; every answer that the README does not have is of a kind of its own. */
function kindOf({ status, headers, text, message, error }, { needs }, user) {
  if (error) return error;
  if (/eyJ[\w-]+\./.test(text + JSON.stringify(headers))) return 'a token in the answer';
  if (message?.id === 7) {
    const code = message.error?.code;
    const allowed = !needs || user.scope.split(' ').includes(needs);
    if (status === 200 && allowed && message.result && !message.result.isError) return 'result';
    if (status === 503 && allowed && code === -32603 && headers['retry-after'] === '1') return 'try later';
    if (status === 502 && allowed && code === -32603) return 'no usable token';
    if (status === 403 && !allowed && /insufficient_scope/.test(headers['www-authenticate'])) return 'scope missing';
  }
  return `${status} ${text}`;
}

const longestOf = (answers) => answers.reduce((longest, { at, ended }) => Math.max(longest, ended - at), 0);

function tally(list, nameOf) {
  const counts = {};
  for (const one of list) counts[nameOf(one)] = (counts[nameOf(one)] ?? 0) + 1;
  return counts;
}

/** The share of calls, in per cent, that were served while the server was down in one way or another. */
export function servedInOutages({ byMood }) {
  const sum = (name) => OUTAGES.reduce((total, mood) => total + byMood[mood][name], 0);
  return Math.round(1000 * sum('result') / sum('calls')) / 10;
}

function markdown({ seconds, seed, runs }) {
  const cells = (...values) => `| ${values.join(' | ')} |`;
  const rule = (columns) => `|${'---|'.repeat(columns)}`;
  const lines = ['# Chaos at the authorization server, measured', '',
    `By \`make chaos SECONDS=${seconds} SEED=${seed}\`: ${CLIENTS} clients call five tools without pause, as two users and with tokens of their own, through`,
    `Envoy to the demo's ledger, for ${seconds} seconds, while the mood of the authorization server changes every one or two. \`exchange.timeout\` is`,
    `${TIMEOUT} s. At last the server is silent, then well. In the second run, \`exchange.failover\` names another server, which stays well.`,
    'It fails unless every answer is one that the README has and holds no token; each request that reached the ledger had a fresh',
    'delegation token of the right user, scope and audience, which the ledger verified and the authorization server made for that very',
    'access token; there is one audit record for each answer; and no VM failed.', '',
    cells('', ...Object.keys(runs)), rule(1 + Object.keys(runs).length)];
  const row = (what, of) => lines.push(cells(what, ...Object.values(runs).map(of)));
  row('calls', ({ calls }) => calls);
  row('200, a result', ({ result }) => result);
  row('503, try later', ({ tryLater }) => tryLater);
  row('502, no usable delegation token', ({ noUsableToken }) => noUsableToken);
  row('403, a scope is missing, as ever', ({ scopeMissing }) => scopeMissing);
  row('exchanges asked for, at the other server', ({ exchanges, exchangesAtBackup }) => `${exchanges}, ${exchangesAtBackup}`);
  row('served in outages', (run) => `${servedInOutages(run)} %`);
  row('longest wait, ms', ({ longest_ms: ms }) => ms);
  row('the last client is served after recovery, ms', ({ recovery_ms: ms }) => ms);
  row('the last refusal after recovery, ms', ({ lastRefused_ms: ms }) => ms);
  row(`load average of the machine, of ${availableParallelism()} processors`, ({ load }) => load);
  lines.push('', 'By the mood in which a call was asked. Calls whose delegation is cached are served in each; garbage and tokens that are not',
    'what was asked for are no outage, so no other server is asked. A client that is refused calls again 20 ms later, so there are more',
    'refusals than a patient client would meet. Recovery is the timeout of the calls that the silent server held, and then everybody\'s',
    'exchange at once: how fast the demo\'s authorization server signs on a busy machine.');
  for (const [name, { byMood }] of Object.entries(runs)) {
    lines.push('', cells(name, 'calls', '200', '503', '502', 'longest, ms'), rule(6));
    for (const [mood, of] of Object.entries(byMood)) lines.push(cells(mood, of.calls, of.result, of.tryLater, of.noUsableToken, of.longest_ms));
  }
  return `${lines.join('\n')}\n`;
}

if (import.meta.main) {
  const [seconds, seed] = [Number(process.argv[2] ?? 60), Number(process.argv[3] ?? 1)];
  const runs = {};
  for (const [name, failover] of Object.entries(VARIANTS)) {
    runs[name] = await chaos({ seconds, seed, failover });
    console.log(name, runs[name]);
  }
  const results = join(root, 'benches/results');
  mkdirSync(results, { recursive: true });
  writeFileSync(join(results, 'chaos-exchange.json'), `${JSON.stringify({ seconds, seed, clients: CLIENTS, timeout_s: TIMEOUT, runs }, null, 2)}\n`);
  writeFileSync(join(results, 'chaos-exchange.md'), markdown({ seconds, seed, runs }));
  for (const { recovery_ms: ms, lastRefused_ms: last } of Object.values(runs)) assert.ok(Math.max(ms, last) <= 2000, `recovered after ${ms} ms`);
}
