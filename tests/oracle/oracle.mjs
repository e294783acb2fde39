// For every input: either it is refused, or the server executes exactly what was authorised.
// Generated requests go through Envoy and the filter to servers on the official SDKs, and judge.mjs compares the
// servers' logs with the audit records.
//
//   node tests/oracle/oracle.mjs
//   N     how many inputs, shared by all servers; default 20000
//   SEED  of the generator; default: a random one, which is printed
//   ONLY  one server of SERVERS
//   VERBOSE  prints what became of each kind of input
import { randomInt } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { root } from '../../demo/keys.mjs';
import { startProcess, until } from '../../demo/process.mjs';
import { startStack } from '../../demo/stack.mjs';
import { random } from '../envoy/support/garbage.mjs';
import { raw } from '../envoy/support/raw-http.mjs';
import { Mint } from '../envoy/support/tokens.mjs';
import { generate } from './generator.mjs';
import { judge } from './judge.mjs';

const file = (name) => fileURLToPath(new URL(`servers/${name}`, import.meta.url));
const python = (venv) => [join(root, 'target/tools', venv, 'bin/python'), file('python.py')];

/** Name → command. */
export const SERVERS = {
  'ts-1': [process.execPath, file('ts-1.mjs')],
  'ts-1-express': [process.execPath, file('ts-1.mjs'), 'express'],
  'ts-2': [process.execPath, file('ts-2.mjs')],
  'python-1': python('mcp-1'),
  'python-2': python('mcp-2'),
};

const POLICY = `
audience: https://enterprise-ledger.orchestrator.lab/
lifetime: 5s
baseline: {delegation: {scope: "ledger:Connect"}}
tools: {greet: {delegation: {scope: "ledger:ListAccounts"}}}
`;
const AT_ONCE = 24;
const BATCH = 500;

/**
 * Sends `count` inputs to the server called `name`, or with `direct` past the gateway, which shows what the gateway is for.
 * Returns `{ disagreements, executions, statuses, tally }`.
 */
export async function consult(name, count, seed, { direct = false } = {}) {
  const state = mkdtempSync(join(tmpdir(), 'deputy-oracle-'));
  let server;
  let stack;
  try {
    server = await startServer(name, join(state, 'server.log'));
    const policies = join(state, 'policies');
    mkdirSync(policies);
    writeFileSync(join(policies, 'enterprise-ledger.yaml'), POLICY);
    stack = await startStack({ state, upstream: server.address, gateway: { set: { policies } } });
    const port = direct ? Number(server.address.split(':')[1]) : stack.ports.gateway;
    return await send({ count, source: random(seed), port, server, stack, direct });
  } finally {
    await stack?.stop();
    await server?.stop();
    rmSync(state, { recursive: true, force: true });
  }
}

async function startServer(name, log) {
  const [command, ...args] = SERVERS[name];
  if (!existsSync(command)) throw new Error(`${command} is missing; \`make tools clients\` makes it`);
  const executions = [];
  let ready;
  const address = new Promise((resolve) => { ready = resolve; });
  const onLine = (line) => {
    const event = line.startsWith('{"event') ? JSON.parse(line) : {};
    if (event.event === 'ready') ready(event.address);
    if (event.event === 'executed') executions.push(event);
  };
  const child = startProcess(command, args, { log, onLine });
  const failed = child.exited.then((result) => { throw new Error(`${name} ended with ${result}`); });
  failed.catch(() => {});
  return { ...child, executions, address: await Promise.race([address, failed]) };
}

async function send({ count, source, port, server, stack, direct }) {
  const mint = new Mint(stack);
  const bodies = new Map();
  const kinds = new Map();
  const statuses = {};
  for (let first = 0; first < count; first += BATCH) {
    const token = mint.token(); // it does not live as long as a long run
    const batch = Array.from({ length: Math.min(BATCH, count - first) }, (_, i) => [first + i, generate(source)]).values();
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      for (const [input, { kind, method, path, headers, body, sent = body }] of batch) {
        bodies.set(input, body);
        kinds.set(input, kind);
        const all = [...headers, ['authorization', `Bearer ${token}`], ['x-oracle', input]];
        const answer = await raw(port, { method, path, headers: all, body: sent }, { seconds: 2 });
        statuses[answer?.status] = (statuses[answer?.status] ?? 0) + 1;
      }
    }));
  }
  // What was given up on may still be under way; and Envoy writes a record a moment after the answer.
  await sleep(500);
  const executions = [...server.executions];
  const records = () => stack.auditRecords();
  if (!direct) await until(() => {
    const ids = new Set(records().map(({ request_id: id }) => id));
    return executions.every(({ request }) => ids.has(request));
  }, 'the records', { seconds: 5 }).catch(() => {}); // the judge says which are missing
  const disagreements = judge(bodies, executions, records()).map((one) => ({ kind: kinds.get(one.input), ...one }));
  return { disagreements, executions, statuses, tally: tallyOf(kinds, executions) };
}

/** By kind of input, how many were sent and how many of them executed. */
function tallyOf(kinds, executions) {
  const executed = new Set(executions.map(({ input }) => Number(input)));
  const tally = {};
  for (const [input, kind] of kinds) {
    for (const one of kind.split(' + ')) {
      tally[one] ??= { sent: 0, executed: 0 };
      tally[one].sent += 1;
      tally[one].executed += executed.has(input);
    }
  }
  return tally;
}

if (import.meta.main) {
  const { N = '20000', SEED = String(randomInt(2 ** 31)), ONLY, VERBOSE } = process.env;
  console.log(`seed ${SEED}`);
  const names = Object.keys(SERVERS).filter((name) => !ONLY || name === ONLY);
  for (const name of names) {
    const { disagreements, executions, statuses, tally } = await consult(name, Math.ceil(N / names.length), Number(SEED));
    console.log(`${name}: ${executions.length} executed, ${disagreements.length} disagreements; answers ${JSON.stringify(statuses)}`);
    if (VERBOSE) console.table(tally);
    disagreements.slice(0, 20).forEach((one) => console.log(JSON.stringify(one)));
    if (disagreements.length || !executions.length) process.exitCode = 1;
  }
}
