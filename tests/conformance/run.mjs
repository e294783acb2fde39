// Runs the official MCP conformance suite twice, against a server directly and against the same server through the
// filter, and compares what it found, check by check. Run by `make conformance`.
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { createServer, request as send } from 'node:http';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SignedInClient } from '../../demo/client/client.mjs';
import { SARAH } from '../../demo/people.mjs';
import { startProcess, startServer } from '../../demo/process.mjs';
import { startStack } from '../../demo/stack.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(dirname(here));
const state = join(root, 'target/conformance');
const SUITE = join(here, 'node_modules/@modelcontextprotocol/conformance/dist/index.js');

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
async function grade(name, url) {
  const results = join(state, name);
  rmSync(results, { recursive: true, force: true });
  mkdirSync(results, { recursive: true });
  const suite = startProcess(process.execPath, [SUITE, 'server', '--url', url, '--suite', 'all', '--output-dir', results],
    { log: join(state, `${name}.log`) });
  await suite.exited;
  const scenarios = {};
  for (const directory of readdirSync(results).sort()) {
    const checks = JSON.parse(readFileSync(join(results, directory, 'checks.json'), 'utf8'));
    const scenario = directory.replace(/^server-/, '').replace(/-\d{4}-\d\d-\d\dT.*$/, '');
    // The suite is content with a tool that asks and gets no answer, so what the tool said counts too.
    scenarios[scenario] = checks.map(({ id, status, errorMessage, details: { statusCode, result } = {} }) =>
      ({ id, status, errorMessage, statusCode, result }));
  }
  return scenarios;
}

mkdirSync(state, { recursive: true });
const server = await startServer(join(here, 'server.mjs'), { log: join(state, 'server.log') });
const stack = await startStack({
  state,
  upstream: new URL(server.url).host,
  gateway: {
    set: { policies: join(here, 'policies'), sessions: '{keys_from_environment: [DEPUTY_SESSION_KEY]}' },
    env: { DEPUTY_SESSION_KEY: randomBytes(32).toString('base64url') },
  },
});
let proxy;
try {
  const sarah = await SignedInClient.connect(stack.gatewayUrl, SARAH);
  proxy = await tokenProxy(stack.gatewayUrl, sarah.accessToken);
  const directly = await grade('directly', server.url.replace('127.0.0.1', 'localhost'));
  const filtered = await grade('filtered', proxy.url);
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
  console.log(`${names.length} scenarios, ${passing} pass through the filter, ${differing.length} differ from the server alone`);
  if (names.length === 0 || passing === 0 || differing.length > 0) process.exitCode = 1;
} finally {
  proxy?.close();
  await stack.stop();
  await server.stop();
}
