// The scenario's change, a diff of two files, pushed by `deputy push` to a gateway at work.
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { root } from '../../demo/keys.mjs';
import { until } from '../../demo/process.mjs';
import { call, LIST_ACCOUNTS, load, toolCall } from './support/client.mjs';
import { auditOf, logged } from './support/records.mjs';
import { startTemporaryStack } from './support/stack.mjs';
import { inboundToken } from './support/tokens.mjs';

const GET_TRANSACTIONS = toolCall('getTransactions', { accountId: 'ACC-1001' });
const VIEW = 'ledger:ViewTransactions';

describe('deputy push', () => {
  let stack;
  let sources;
  let filter;
  before(async () => {
    stack = await startTemporaryStack();
    sources = mkdtempSync(join(tmpdir(), 'deputy-sources-'));
    filter = join(stack.gatewayDirectory, 'filter.yaml');
    for (const name of ['before', 'after']) {
      cpSync(join(root, 'deputy.yaml'), join(sources, name, 'deputy.yaml'));
      cpSync(join(root, 'policies'), join(sources, name, 'policies'), { recursive: true });
    }
    // The diff: one scope in one file, one rule in the other.
    edit('deputy.yaml', '"audit:read"]', `"audit:read", "${VIEW}"]`);
    edit('policies/enterprise-ledger.yaml', '  getTransactions:\n', `  getTransactions:\n    require: {scopes: ["${VIEW}"]}\n`);
  });
  after(async () => {
    await stack?.stop();
    if (sources) rmSync(sources, { recursive: true });
  });

  function edit(name, from, to) {
    const file = join(sources, 'after', name);
    const text = readFileSync(file, 'utf8');
    assert.equal(text.split(from).length, 2, name);
    writeFileSync(file, text.replace(from, to));
  }

  const push = (name, changes) => stack.push({ config: join(sources, name, 'deputy.yaml'), ...changes });

  async function pushed(name) {
    const { code, stderr } = await push(name);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /filter\.yaml: written, policy [0-9a-f]{16}, version [0-9a-f]{16}\nEnvoy has taken version [0-9a-f]{16}\n$/);
    return /policy ([0-9a-f]{16})/.exec(stderr)[1];
  }

  const withScope = () => inboundToken(stack, { scope: `mcp:connect ${VIEW}` });
  const without = () => inboundToken(stack, { scope: 'mcp:connect' });

  test('under load drops nothing, and is in force for the next request', async () => {
    const several = (make) => Array.from({ length: 4 }, make);
    const [holders, others, bystanders] = [several(withScope), several(without), several(without)];
    const calls = [load(stack, holders, GET_TRANSACTIONS), load(stack, others, GET_TRANSACTIONS), load(stack, bystanders, LIST_ACCOUNTS)];
    const seen = calls.map(({ answers }) => answers.length);
    const more = () => until(() => calls.every(({ answers }, index) => answers.length > seen[index] + 12 && (seen[index] = answers.length)), 'calls');
    const statusOf = async ({ token }) => (await call(stack, token, GET_TRANSACTIONS)).status;
    const next = async (...clients) => (await Promise.all(clients.map(statusOf))).join();

    await more();
    let hash;
    for (let round = 0; round < 3; round += 1) {
      hash = await pushed('after');
      assert.equal(await next(...others, ...others, ...holders), '403,403,403,403,403,403,403,403,200,200,200,200');
      await more();
      if (round === 2) break;
      await pushed('before');
      assert.equal(await next(...others, ...others, ...holders), '200,200,200,200,200,200,200,200,200,200,200,200');
      await more();
    }
    const [held, lacked, elsewhere] = await Promise.all(calls.map((one) => one.stop()));
    const statuses = (answers) => [...new Set(answers.map(({ status }) => status))].sort();
    assert.deepEqual([held, lacked, elsewhere].map(statuses), [[200], [200, 403], [200]]);

    // No mix: what is decided, told and delegated is of the one policy or of the other.
    const refused = lacked.filter(({ status }) => status === 403);
    const challenge = `error="insufficient_scope", scope="${VIEW} mcp:connect"`;
    for (const { headers } of refused) assert.ok(headers['www-authenticate'].includes(challenge), headers['www-authenticate']);
    const called = lacked.length + 5 * 2 * others.length; // and by `next`, five times twice
    const records = await auditOf(stack, others.map(({ id }) => id), called);
    assert.equal(records.length, called);
    const kinds = new Set(records.map(({ policy_hash: of, decision, status, delegation }) => `${of === hash ? 'new' : 'old'} ${decision} ${status} ${delegation?.scope}`));
    assert.deepEqual([...kinds].sort(), ['new deny 403 undefined', 'old allow 200 ledger:ListTransactions']);
    assert.ok(stack.ledgerRequests().every(({ verdict }) => verdict === 'served'));
  });

  test('then the step-up is told in the metadata and in the challenge, and helps', async () => {
    const metadata = await (await fetch(new URL('/.well-known/oauth-protected-resource', stack.gatewayUrl))).json();
    assert.ok(metadata.scopes_supported.includes(VIEW));
    const client = without();
    const answer = await call(stack, client.token, GET_TRANSACTIONS);
    assert.equal(answer.status, 403);
    assert.match(answer.headers['www-authenticate'], new RegExp(`scope="${VIEW} mcp:connect"`));
    const stepped = inboundToken(stack, { scope: /scope="([^"]*)"/.exec(answer.headers['www-authenticate'])[1] });
    assert.equal((await call(stack, stepped.token, GET_TRANSACTIONS)).status, 200);
    const [{ rule, delegation }] = await auditOf(stack, stepped.id);
    assert.deepEqual([rule, delegation.scope], ['enterprise-ledger.tools.getTransactions', 'ledger:ListTransactions']);
  });

  test('of the same again writes nothing', async () => {
    const before = readFileSync(filter, 'utf8');
    const { code, stderr } = await push('after');
    assert.match(stderr, /filter\.yaml: unchanged, policy [0-9a-f]{16}, version ([0-9a-f]{16})\nEnvoy has taken version \1\n$/);
    assert.deepEqual([code, readFileSync(filter, 'utf8')], [0, before]);
  });

  test('of what only Envoy can refuse fails, and leaves the file that is served', async () => {
    const before = readFileSync(filter, 'utf8');
    // The variable is not in Envoy's environment, and only Envoy can know.
    const { code, stderr } = await push('after', { set: { 'sessions.keys_from_environment': '[DEPUTY_TEST_NO_SUCH_KEY]' } });
    assert.equal(code, 8, stderr);
    assert.match(stderr, /error: Envoy refused version [0-9a-f]{16} and serves on as before/);
    await logged(stack, /configuration refused: .*DEPUTY_TEST_NO_SUCH_KEY/);
    assert.equal(readFileSync(filter, 'utf8'), before);
    assert.equal((await call(stack, without().token, GET_TRANSACTIONS)).status, 403);
    await pushed('before');
  });

  test('of what has errors writes nothing', async () => {
    const before = readFileSync(filter, 'utf8');
    const { code, stderr } = await push('after', { set: { 'endpoints[0].policy': 'nothing' } });
    assert.equal(code, 2);
    assert.match(stderr, /unknown policy `nothing`/);
    assert.equal(readFileSync(filter, 'utf8'), before);
    assert.deepEqual(readdirSync(stack.gatewayDirectory).filter((name) => name.endsWith('.tmp')), []);
  });

  test('to where no Envoy answers writes nothing', async () => {
    const before = readFileSync(filter, 'utf8');
    const { code, stderr } = await push('after', { options: ['--admin', 'http://127.0.0.1:1'] });
    assert.equal(code, 1, stderr);
    assert.equal(readFileSync(filter, 'utf8'), before);
  });

  // A ConfigMap is mounted like this: `filter.yaml` leads through `..data`, and that link is swapped.
  test('into a mounted ConfigMap, as Kubernetes swaps it, is taken too', async () => {
    const directory = stack.gatewayDirectory;
    const swap = (name, text) => {
      mkdirSync(join(directory, name));
      writeFileSync(join(directory, name, 'filter.yaml'), text);
      symlinkSync(name, join(directory, '..data_tmp'));
      renameSync(join(directory, '..data_tmp'), join(directory, '..data'));
    };
    await pushed('after');
    const [changed, link] = [readFileSync(filter, 'utf8'), join(directory, 'link')];
    await pushed('before');
    swap('..first', readFileSync(filter, 'utf8'));
    symlinkSync('..data/filter.yaml', link);
    renameSync(link, filter);
    const client = without();
    assert.equal((await call(stack, client.token, GET_TRANSACTIONS)).status, 200);
    swap('..second', changed);
    await until(async () => (await call(stack, client.token, GET_TRANSACTIONS)).status === 403, 'the new policy');
    assert.ok(existsSync(filter));
  });
});
