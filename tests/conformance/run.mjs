// Runs the official MCP conformance suite, two versions of it for two eras of MCP, twice each: against a server directly and
// against the same server through the filter. Compares what it found, check by check. Run by `make conformance`.
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { createServer, request as send } from 'node:http';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startProcess, startServer } from '../../demo/process.mjs';
import { startStack } from '../../demo/stack.mjs';
import { Mint } from '../envoy/support/tokens.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(dirname(here));
const state = join(root, 'target/conformance');

/**
 * - `suite`: a package of package.json
 * - `server`: a file of servers/
 * - `revisions`: those that the filter serves, where the suite looks at what an error says of them
 */
const RUNS = [
  { name: '2025-11-25', suite: '@modelcontextprotocol/conformance', server: 'ts-1.mjs' },
  { name: '2025-11-25-alpha', suite: 'conformance-alpha', server: 'ts-1.mjs', options: ['--spec-version', '2025-11-25'] },
  {
    name: '2026-07-28', suite: 'conformance-alpha', server: 'ts-2.mjs', options: ['--spec-version', '2026-07-28'],
    revisions: ['2026-07-28'],
  },
];

/** Passes requests on to `target` with a token, which the suite has no option for. Its own name becomes the target's. */
async function tokenProxy(target, token) {
  const upstream = new URL(target);
  const proxy = createServer((incoming, outgoing) => {
    const own = [`127.0.0.1:${proxy.address().port}`, `localhost:${proxy.address().port}`];
    const { host, origin } = incoming.headers;
    const headers = { ...incoming.headers, authorization: `Bearer ${token}` };
    if (own.includes(host)) headers.host = upstream.host;
    if (own.some((name) => origin === `http://${name}`)) headers.origin = upstream.origin;
    const { hostname, port } = upstream;
    const passed = send({ hostname, port, path: incoming.url, method: incoming.method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode, answer.headers);
      outgoing.flushHeaders();
      answer.pipe(outgoing);
    });
    passed.on('error', () => outgoing.destroy());
    outgoing.on('close', () => passed.destroy());
    incoming.pipe(passed);
  });
  await new Promise((resolve) => { proxy.listen(0, '127.0.0.1', resolve); });
  const close = () => { proxy.close(); proxy.closeAllConnections(); };
  return { url: `http://localhost:${proxy.address().port}${upstream.pathname}`, close };
}

/** By scenario, what each check came to. */
async function grade({ name, suite, options = [] }, kind, url) {
  const results = join(state, name, kind);
  rmSync(results, { recursive: true, force: true });
  mkdirSync(results, { recursive: true });
  const program = join(here, 'node_modules', suite, 'dist/index.js');
  const graded = startProcess(process.execPath,
    [program, 'server', '--url', url, '--suite', 'all', ...options, '--output-dir', results], { log: `${results}.log` });
  await graded.exited;
  const scenarios = {};
  for (const directory of readdirSync(results).sort()) {
    const checks = JSON.parse(readFileSync(join(results, directory, 'checks.json'), 'utf8'));
    const scenario = directory.replace(/^server-/, '').replace(/-\d{4}-\d\d-\d\dT.*$/, '');
    scenarios[scenario] = checks.map(outcome);
  }
  return scenarios;
}

/** The suite is content with a tool that asks and gets no answer, so what the tool said counts too, but for sealed states. */
function outcome({ id, status, errorMessage, details: { statusCode, result } = {} }) {
  const said = JSON.stringify(result, (key, value) => (key === 'requestState' ? typeof value : value));
  return { id, status, errorMessage, statusCode, said };
}

/** Whether what the suite found is the same both ways. */
async function compare(run) {
  mkdirSync(join(state, run.name), { recursive: true });
  const server = await startServer(join(here, 'servers', run.server), { log: join(state, run.name, 'server.log') });
  let stack;
  let proxy;
  try {
    stack = await startStack({
      state,
      upstream: new URL(server.url).host,
      gateway: {
        set: {
          policies: join(here, 'policies'), sessions: '{keys_from_environment: [DEPUTY_SESSION_KEY]}',
          ...run.revisions && { 'endpoints[0].revisions': JSON.stringify(run.revisions) },
        },
        env: { DEPUTY_SESSION_KEY: randomBytes(32).toString('base64url') },
      },
    });
    proxy = await tokenProxy(stack.gatewayUrl, new Mint(stack).token());
    const directly = await grade(run, 'directly', server.url.replace('127.0.0.1', 'localhost'));
    const filtered = await grade(run, 'filtered', proxy.url);
    return report(run.name, directly, filtered);
  } finally {
    proxy?.close();
    await stack?.stop();
    await server.stop();
  }
}

function report(run, directly, filtered) {
  const names = [...new Set([...Object.keys(directly), ...Object.keys(filtered)])];
  const differing = names.filter((name) => JSON.stringify(directly[name]) !== JSON.stringify(filtered[name]));
  const failed = (checks = []) => checks.some(({ status }) => status === 'FAILURE');
  const passing = names.filter((name) => filtered[name] && !failed(filtered[name])).length;
  for (const name of names.filter((name) => failed(directly[name]) && !differing.includes(name))) {
    console.log(`fails either way: ${name}`);
  }
  for (const name of differing) {
    console.log(`differs: ${name}\n  directly  ${JSON.stringify(directly[name])}\n  filtered  ${JSON.stringify(filtered[name])}`);
  }
  console.log(`${run}: ${names.length} scenarios, ${passing} pass through the filter, ${differing.length} differ from the server alone`);
  return passing > 0 && differing.length === 0;
}

for (const run of RUNS) {
  if (!await compare(run)) process.exitCode = 1;
}
