// agentgateway (https://github.com/agentgateway/agentgateway) as a gateway for one MCP server: JWTs of one issuer, and one rule.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, startProcess, until } from '../../demo/process.mjs';

/** Its program; without it, nothing is measured against agentgateway. */
export const { AGENTGATEWAY } = process.env;

/** Starts it at `port`; `place` is where everything is. */
export async function startAgentgateway(directory, place, { port, path, workers }) {
  mkdirSync(directory);
  const ready = await freePort();
  const file = join(directory, 'agentgateway.json');
  writeFileSync(file, JSON.stringify({
    config: {
      workerThreads: workers,
      // At its default, `info`, it writes a line for each request.
      logging: { level: 'warn' },
      readinessAddr: `127.0.0.1:${ready}`, adminAddr: 'off', statsAddr: 'off',
    },
    binds: [{ port, listeners: [{ routes: [route(place, path)] }] }],
  }));
  const gateway = startProcess(AGENTGATEWAY, ['--file', file], { log: `${directory}.log` });
  await until(async () => (await fetch(`http://127.0.0.1:${ready}/healthz/ready`)).ok, 'agentgateway', { seconds: 30, unless: gateway.exited });
  return gateway;
}

/** As MCP clients meet it by default: they open a session, which also is one at the server behind it. */
function route({ issuer, resource, keys, upstream }, path) {
  return {
    matches: [{ path: { exact: path } }],
    policies: {
      jwtAuth: { mode: 'strict', issuer, audiences: [resource], jwks: { file: keys.jwks } },
      mcpAuthorization: { rules: ['mcp.tool.name == "listAccounts"'] },
    },
    backends: [{ mcp: { statefulMode: 'stateful', targets: [{ name: 'ledger', mcp: { host: `http://${upstream}${path}` } }] } }],
  };
}
