// Clients that call without pause while something fails, and what became of all of their calls: by their answers, by what reached the
// ledger, and by the audit records.
import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import { Agent } from 'node:http';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { auditRecords } from '../../demo/audit-log.mjs';
import { LEDGER } from '../../demo/enterprise-ledger/delegation-token.mjs';
import { JOHN, SARAH } from '../../demo/people.mjs';
import { until } from '../../demo/process.mjs';
import { call, toolCall } from '../envoy/support/client.mjs';
import { random } from '../envoy/support/garbage.mjs';
import { inboundToken } from '../envoy/support/tokens.mjs';

const LEEWAY = 1; // seconds; the ledger's
/** The ledger's verdict on a token that has ended. */
const LATE = 'refused: "exp" claim timestamp check failed';

export const USERS = [
  { sub: SARAH.user, scope: 'mcp:connect pii:read audit:read', account: 'ACC-1001' },
  { sub: JOHN.user, scope: 'mcp:connect', account: 'ACC-1002' },
];

const TOOLS = {
  listAccounts: { scopes: ['ledger:ListAccounts'] },
  getAccount: { scopes: ['ledger:GetAccount'], args: ({ account }) => ({ accountId: account }) },
  getTransactions: { scopes: ['ledger:ListTransactions', 'ledger:ViewTransactions'], args: ({ account }) => ({ accountId: account }) },
  // The ledger keeps who did it: each user has an account of their own to do it to.
  updateAccountStatus: { scopes: ['ledger:UpdateAccount'], args: ({ account }) => ({ accountId: account, status: 'active' }) },
  getCustomerPII: { scopes: ['ledger:ReadPII'], needs: 'pii:read', args: () => ({ customerId: 'CUST-001' }) },
};

export class Clients {
  answers = [];
  #running = true;
  #loops = [];

  /** `during()` is noted with each call when it is asked. */
  constructor(stack, { seed, during = () => undefined }) { Object.assign(this, { stack, seed, during }); }

  /** Starts so many more, each with a new access token after `resultsPerToken`. Gives their numbers. */
  start(count, resultsPerToken = 25) {
    const first = this.#loops.length;
    const numbers = Array.from({ length: count }, (_, index) => first + index);
    this.#loops.push(...numbers.map((index) => this.#client(index, resultsPerToken)));
    return numbers;
  }

  async stop() {
    this.#running = false;
    await Promise.all(this.#loops);
  }

  /** Calls one after another on one connection, as one user. */
  async #client(index, resultsPerToken) {
    const user = USERS[index % USERS.length];
    const [source, agent] = [random(this.seed + index), new Agent({ keepAlive: true, maxSockets: 1 })];
    for (let results = 0, access; this.#running;) {
      if (!access || results === resultsPerToken) {
        [access, results] = [inboundToken(this.stack, { sub: user.sub, scope: user.scope }), 0];
      }
      const tool = source.pick(Object.keys(TOOLS));
      const body = toolCall(tool, TOOLS[tool].args?.(user), 7);
      const [at, during] = [performance.now(), this.during()];
      const answer = await call(this.stack, access.token, body, agent).catch((error) => ({ error: error.message }));
      const ended = performance.now();
      const kind = kindOf(answer, TOOLS[tool], user);
      this.answers.push({ index, user: user.sub, token: access.id, tool, at, ended, during, status: answer.status, kind });
      if (kind === 'result') results += 1;
      else await sleep(20); // fifty times sooner than it is told
    }
    agent.destroy();
  }

  count(kind, among = this.answers) { return among.filter((answer) => answer.kind === kind).length; }

  /** By kind, how many there were. */
  kinds() { return tally(this.answers, ({ kind }) => kind); }

  assertKinds(known) { assert.deepEqual(Object.keys(this.kinds()).filter((kind) => !known.includes(kind)), []); }

  longest(among = this.answers) { return among.reduce((longest, { at, ended }) => Math.max(longest, ended - at), 0); }

  assertAnswered(seconds) {
    assert.ok(this.longest() < seconds * 1000, `the longest took ${this.longest()} ms`);
  }

  /** When each client had a result that was asked for after `time`, once all have. */
  async servedAgain(time, { seconds = 15 } = {}) {
    const first = (index) => this.answers.find((answer) => answer.index === index && answer.at > time && answer.kind === 'result');
    await until(() => this.#loops.every((_, index) => first(index)), 'every client served again', { seconds });
    return Math.max(...this.#loops.map((_, index) => first(index).ended)) - time;
  }

  /**
   * Each request at the ledger had a token that it verified, `issued` for this user and tool, and still fresh. Where `mayBeLate`, the
   * ledger was stopped while some waited there, and may have refused a token for its end and for nothing else.
   */
  assertDelegated(requests, { issued, mayBeLate = false } = {}) {
    for (const { time, tool, claims, verdict } of requests) {
      const { scope, aud, sub, exp, jti } = claims;
      if (!mayBeLate || verdict !== LATE) {
        assert.equal(verdict, 'served');
        assert.ok(Date.parse(time) / 1000 <= exp + LEEWAY, 'fresh');
      }
      assert.ok(TOOLS[tool].scopes.includes(scope), `${tool} ${scope}`);
      assert.equal(aud, LEDGER);
      if (issued) assert.equal(sub, issued(jti)?.subject);
      else assert.ok(USERS.some((user) => user.sub === sub && (!TOOLS[tool].needs || user.scope.includes(TOOLS[tool].needs))), `${sub} ${tool}`);
    }
  }

  /** The audit records of these clients' calls, once there are as many as `expected`, and what else they have come to. */
  async records(expected = this.answers.length) {
    const tokens = new Set(this.answers.map(({ token }) => token));
    return until(async () => {
      const own = [];
      for await (const line of createInterface({ input: createReadStream(this.stack.logs.envoy) })) {
        for (const record of auditRecords(line)) if (tokens.has(record.token_id)) own.push(record);
      }
      return own.length >= expected && own;
    }, 'the audit records', { seconds: 60 });
  }

  /** There is one record for each answer. */
  assertRecorded(records) {
    assert.deepEqual(tally(records, ({ token_id: token, tool, status }) => `${token} ${tool} ${status}`),
      tally(this.answers, ({ token, tool, status }) => `${token} ${tool} ${status ?? 0}`));
  }

  /** Whatever reached the ledger is in a record of its delegation, and no more often. */
  assertAllowed(requests, records) {
    const allowed = tally(records.filter(({ delegation }) => delegation), ({ delegation, tool }) => `${delegation.token_id} ${tool}`);
    for (const [what, times] of Object.entries(tally(requests, ({ claims, tool }) => `${claims.jti} ${tool}`))) {
      assert.ok(times <= (allowed[what] ?? 0), `${what}: ${times} times, allowed ${allowed[what] ?? 0}`);
    }
  }
}

/** What a client was told; every answer that docs/operate.md does not have is of a kind of its own. */
function kindOf({ status, headers, text, message, error }, { needs }, user) {
  if (error) return error;
  if (/eyJ[\w-]+\./.test(text + JSON.stringify(headers))) return 'a token in the answer';
  const allowed = !needs || user.scope.split(' ').includes(needs);
  if (status === 502 && allowed && /does not accept the delegation token/.test(message?.error?.message)) return 'delegation too late';
  if (message?.id === 7) {
    const code = message.error?.code;
    if (status === 200 && allowed && message.result && !message.result.isError) return 'result';
    if (status === 503 && allowed && code === -32603 && headers['retry-after'] === '1') return 'try later';
    if (status === 502 && allowed && code === -32603) return 'no usable token';
    if (status === 403 && !allowed && /insufficient_scope/.test(headers['www-authenticate'])) return 'scope missing';
  }
  // Envoy's own words: the filter is not there, or the server is not.
  if (status === 503 && text === '') return 'no filter';
  if (status === 503 && allowed && /^(upstream connect error|no healthy upstream|upstream request timeout)/.test(text)) return 'no server';
  return `${status} ${text}`;
}

export function tally(list, nameOf) {
  const counts = {};
  for (const one of list) counts[nameOf(one)] = (counts[nameOf(one)] ?? 0) + 1;
  return counts;
}
