// A rule on trial: what it would deny goes on under its delegation, and is recorded, counted and reported.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { DEPUTY } from '../../demo/gateway.mjs';
import { root } from '../../demo/keys.mjs';
import { JOHN } from '../../demo/people.mjs';
import { call, toolCall } from './support/client.mjs';
import { accessLogged, auditOf, statistic } from './support/records.mjs';
import { ACCESS_TOKEN, reply, startScriptedStack } from './support/scripted-authorization-server.mjs';
import { delegationToken, inboundToken } from './support/tokens.mjs';

const AUDIT_LOG = 'enterprise-ledger.tools.getAuditLog';
const MESSAGE = 'Insufficient privileges: audit log access requires audit:read scope.';
const GET_AUDIT_LOG = toolCall('getAuditLog');
const GET_CUSTOMER = toolCall('getCustomerPII', { customerId: 'CUST-001' });
const LIST_TOOLS = JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/list', params: {} });

describe('a rule in shadow', () => {
  let stack;
  let scripted;
  let sources;
  before(async () => {
    sources = mkdtempSync(join(tmpdir(), 'deputy-shadow-'));
    const policies = policiesWith('rule', inRule('getAuditLog', 'enforcement: shadow'), inRule('getAuditLog', 'denial: error'));
    ({ stack, scripted } = await startScriptedStack({ gateway: { set: { policies } } }));
  });
  after(async () => {
    await stack?.stop();
    rmSync(sources, { recursive: true });
  });
  // The demo's authorization server has a policy of its own, by which John may have no audit log.
  beforeEach(() => {
    scripted.script = async (request, response, body) => {
      const form = new URLSearchParams(body.toString());
      if (form.get('scope') !== 'ledger:ReadAudit') return scripted.passOn(request, response, body);
      const token = delegationToken(stack, form, { sub: JOHN.user });
      return reply(response, 200, { access_token: token, token_type: 'Bearer', expires_in: 5, issued_token_type: ACCESS_TOKEN, scope: 'ledger:ReadAudit' });
    };
  });

  const inRule = (tool, line) => (policy) => policy.replace(`  ${tool}:\n`, `$&    ${line}\n`);
  const atTop = (line) => (policy) => `${line}\n${policy}`;

  /** A directory of policies, changed like this. */
  function policiesWith(name, ...changes) {
    const policies = join(sources, name);
    cpSync(join(root, 'policies'), policies, { recursive: true });
    const file = join(policies, 'enterprise-ledger.yaml');
    const policy = readFileSync(file, 'utf8');
    writeFileSync(file, changes.reduce((text, change) => {
      assert.notEqual(change(text), text);
      return change(text);
    }, policy));
    return policies;
  }

  const john = (scope = 'mcp:connect', changes = {}) => inboundToken(stack, { sub: JOHN.user, scope, ...changes });
  const shadowDenials = () => statistic(stack, 'wasmcustom.mcp_deputy.shadow_denials');

  /** What comes of John's call: `{ answer, record, counted, atLedger }`. */
  async function outcome(body, scope) {
    const [counter, before] = [await shadowDenials(), stack.ledgerRequests().length];
    const { token, id } = john(scope);
    const answer = await call(stack, token, body);
    const [record] = await auditOf(stack, id);
    return { answer, record, counted: await shadowDenials() - counter, atLedger: stack.ledgerRequests().slice(before) };
  }

  async function assertGoesOn(body, rule, message, scope) {
    const { answer, record, counted, atLedger } = await outcome(body);
    assert.equal(answer.status, 200, answer.text);
    assert.ok(answer.message.result, answer.text);
    assert.deepEqual([record.decision, record.rule, record.delegation.scope], ['allow', rule, scope]);
    assert.deepEqual(record.would_deny, { rule, reason: 'insufficient_scope', message });
    assert.equal(counted, 1);
    assert.deepEqual(atLedger.map(({ verdict, claims }) => [verdict, claims.scope, claims.sub, claims.jti]),
      [['served', scope, JOHN.user, record.delegation.token_id]]);
  }

  async function assertRefused(body, reason, scope) {
    const { answer, record, counted, atLedger } = await outcome(body, scope);
    assert.deepEqual([record.decision, record.reason, record.would_deny], ['deny', reason, undefined]);
    assert.ok(!answer.message?.result, answer.text);
    assert.deepEqual([counted, atLedger], [0, []]);
  }

  const auditLogGoesOn = () => assertGoesOn(GET_AUDIT_LOG, AUDIT_LOG, MESSAGE, 'ledger:ReadAudit');

  /** Whatever is in shadow, these are refused. */
  async function assertBounds() {
    await assertRefused(toolCall('dropAllAccounts'), 'no_rule');
    await assertRefused(GET_AUDIT_LOG, 'insufficient_scope', 'audit:read');
    await assertRefused(LIST_TOOLS, 'insufficient_scope', 'pii:read');
    assert.equal((await call(stack, john('mcp:connect', { exp: 1 }).token, GET_AUDIT_LOG)).status, 401);
  }

  test('lets the call go on under its delegation, records what it would have said, and counts it', auditLogGoesOn);

  test('says nothing of who satisfies it', async () => {
    const { record, counted, atLedger } = await outcome(GET_AUDIT_LOG, 'mcp:connect audit:read');
    assert.deepEqual([record.decision, record.rule, record.would_deny, counted, atLedger.length], ['allow', AUDIT_LOG, undefined, 0, 1]);
  });

  test('leaves the rule beside it enforced, and grants nothing that no rule names or the endpoint withholds', async () => {
    await assertRefused(GET_CUSTOMER, 'insufficient_scope');
    await assertBounds();
  });

  test('shows its tool to those whom it would deny', async () => {
    const { answer } = await outcome(LIST_TOOLS);
    assert.ok(answer.message.result.tools.some(({ name }) => name === 'getAuditLog'));
  });

  test('leaves the last word to the authorization server', async () => {
    scripted.script = scripted.passOn;
    const { answer, record, atLedger } = await outcome(GET_AUDIT_LOG);
    assert.ok(!answer.message?.result);
    assert.equal(record.decision, 'deny');
    assert.deepEqual(atLedger, []);
  });

  test('for a whole server, but for one rule', async () => {
    const policies = policiesWith('server', atTop('enforcement: shadow'), inRule('getCustomerPII', 'enforcement: enforce'));
    assert.equal(await stack.reconfigure({ set: { policies } }), 'accepted');
    await auditLogGoesOn();
    await assertRefused(GET_CUSTOMER, 'insufficient_scope');
    await assertBounds();
  });

  test('for all servers, but for one rule', async () => {
    const policies = policiesWith('all', inRule('getCustomerPII', 'enforcement: enforce'));
    assert.equal(await stack.reconfigure({ set: { policies, enforcement: 'shadow' } }), 'accepted');
    await auditLogGoesOn();
    await assertRefused(GET_CUSTOMER, 'insufficient_scope');
    await assertBounds();
  });

  test('for all servers, but for one of them', async () => {
    const policies = policiesWith('one', atTop('enforcement: enforce'));
    assert.equal(await stack.reconfigure({ set: { policies, enforcement: 'shadow' } }), 'accepted');
    await assertRefused(GET_AUDIT_LOG, 'insufficient_scope');
    await assertRefused(GET_CUSTOMER, 'insufficient_scope');
  });

  test('is counted for Prometheus too', async () => {
    const text = await (await fetch(`${stack.adminUrl}/stats/prometheus`)).text();
    const [, value] = /^mcp_deputy_shadow_denials\{\} (\d+)$/m.exec(text);
    assert.equal(Number(value), await shadowDenials());
    assert.ok(value > 0);
  });

  test('is summed up by `deputy shadow report` from the very log of Envoy, each call once', async () => {
    const { id, token } = john();
    await call(stack, token, LIST_TOOLS);
    const [{ request_id: last }] = await auditOf(stack, id);
    await accessLogged(stack, last); // now each record stands there twice
    const report = (...args) => promisify(execFile)(DEPUTY, ['shadow', 'report', stack.logs.envoy, ...args]);

    const denials = stack.auditRecords().filter(({ would_deny: denial }) => denial);
    const { stdout } = await report('--format', 'json');
    const { would_denials: sum, rows, records, repeated } = JSON.parse(stdout);
    assert.ok(denials.length >= 3);
    assert.deepEqual([sum, repeated], [denials.length, denials.length]);
    assert.equal(records, 2 * stack.auditRecords().length);
    const times = denials.map(({ time }) => time).sort();
    assert.deepEqual(rows, [{ rule: AUDIT_LOG, object: 'getAuditLog', reason: 'insufficient_scope', message: MESSAGE,
      count: denials.length, subjects: 1, clients: 1, first: times[0], last: times.at(-1) }]);

    const table = await report();
    assert.match(table.stdout, new RegExp(`^count  subjects  clients  rule .*\\n +${sum} +1 +1  ${AUDIT_LOG}  getAuditLog  insufficient_scope  .*${MESSAGE}\\n$`));
    await assert.rejects(report('--fail-on-any'), ({ code }) => code === 9);
  });
});
