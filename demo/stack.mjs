// The whole stack on loopback: keys, authorization server, ledger, and Envoy with the filter.
//
// As a program, it runs until SIGTERM or SIGINT:  node demo/stack.mjs
//   STATE      directory for keys, configuration and logs; default target/demo
//   DIRECTORY  another one for configuration and logs; default STATE
//   GATEWAY_PORT, ADMIN_PORT, AUTHORIZATION_SERVER_PORT, LEDGER_PORT   default: free ports
//   DEPUTY, DEPUTY_CONFIG, DEPUTY_WASM, ENVOY                          see gateway.mjs
//   stdout: {"event":"ready","gatewayUrl",...}
// As a library: startStack().
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { auditRecords } from './audit-log.mjs';
import { startGateway } from './gateway.mjs';
import { ensureKeys, stateDirectory } from './keys.mjs';
import { freePort, startServer } from './process.mjs';

const AUTHORIZATION_SERVER = fileURLToPath(new URL('authorization-server/server.mjs', import.meta.url));
const LEDGER = fileURLToPath(new URL('enterprise-ledger/server.mjs', import.meta.url));
const host = (url) => new URL(url).host;

/**
 * Starts the stack, or nothing: on an error, and on SIGINT and SIGTERM, what was started is stopped.
 *
 * - `state`, `directory`: as STATE and DIRECTORY above
 * - `ports`: `{ gateway, admin, authorizationServer, ledger }`, each a free one if absent
 * - `gateway`: `false` starts no Envoy; `{ config, set, edit, env }` changes what it is given, see gateway.mjs
 * - `upstream`: host:port of another MCP server, in the ledger's place
 */
export async function startStack(options = {}) {
  const stack = new Stack(options);
  const interrupt = async () => {
    await stack.stop();
    process.exit(130);
  };
  const signals = ['SIGINT', 'SIGTERM'];
  signals.forEach((signal) => process.once(signal, interrupt));
  stack.onStop = () => signals.forEach((signal) => process.off(signal, interrupt));
  try {
    await stack.start();
    return stack;
  } catch (error) {
    await stack.stop();
    throw error;
  }
}

class Stack {
  #options;
  #parts = {};
  #earlierEvents = [];

  constructor({ state = stateDirectory(), directory = state, ports = {}, gateway = {}, upstream }) {
    this.#options = { gateway, upstream };
    this.state = state;
    this.directory = directory;
    this.ports = { ...ports };
    const log = (name) => join(directory, 'logs', name);
    this.logs = {
      authorizationServer: log('authorization-server.log'),
      ledger: log('ledger-requests.log'),
      ledgerOutput: log('ledger.log'),
      envoy: log('envoy.log'),
    };
  }

  async start() {
    rmSync(join(this.directory, 'logs'), { recursive: true, force: true });
    mkdirSync(join(this.directory, 'logs'), { recursive: true });
    this.keys = await ensureKeys(this.state);
    this.ports.gateway ??= await freePort();
    this.ports.admin ??= await freePort();
    this.gatewayUrl = `http://127.0.0.1:${this.ports.gateway}/mcp`;
    this.adminUrl = `http://127.0.0.1:${this.ports.admin}`;

    await this.startAuthorizationServer();
    if (!this.#options.upstream) await this.startLedger();
    if (this.#options.gateway) await this.startGateway();
  }

  /** Also after stopAuthorizationServer: the same port and keys, but no sign-in or registered client of before. */
  async startAuthorizationServer() {
    const { state: STATE, ports, gatewayUrl: RESOURCE, logs } = this;
    const env = { STATE, RESOURCE, PORT: String(ports.authorizationServer ?? 0) };
    const server = await startServer(AUTHORIZATION_SERVER, { env, log: logs.authorizationServer });
    this.#parts.authorizationServer = server;
    this.authorizationServerUrl = server.url;
    ports.authorizationServer = Number(new URL(server.url).port);
  }

  async stopAuthorizationServer() {
    this.#earlierEvents.push(...this.#parts.authorizationServer.events);
    await this.#stop('authorizationServer');
  }

  async startLedger() {
    const { state: STATE, ports, logs } = this;
    const env = { STATE, ISSUER: this.authorizationServerUrl, LOG: logs.ledger, PORT: String(ports.ledger ?? 0) };
    const server = await startServer(LEDGER, { env, log: logs.ledgerOutput });
    this.#parts.ledger = server;
    this.ledgerUrl = server.url;
    ports.ledger = Number(new URL(server.url).port);
  }

  stopLedger() { return this.#stop('ledger'); }

  async startGateway(changes = this.#options.gateway) {
    const { directory, keys, ports, logs } = this;
    this.#parts.gateway = await startGateway({
      directory, keys, ports, log: logs.envoy,
      resource: this.gatewayUrl,
      issuer: this.authorizationServerUrl,
      authorizationServer: host(this.authorizationServerUrl),
      ledger: this.#options.upstream ?? host(this.ledgerUrl),
    }, changes);
  }

  stopGateway() { return this.#stop('gateway'); }

  /** A hot restart, see gateway.mjs. */
  replaceGateway(hotRestart) { return this.#parts.gateway.replace(hotRestart); }

  /** `{ config, set, edit }` as at the start, `set` added to that one; resolves to 'accepted', 'rejected' or 'unchanged'. */
  reconfigure(changes) { return this.#parts.gateway.reconfigure(changes); }

  /** What `deputy push` does to the gateway: `{ config, set, options }` lead to `{ code, stderr }`. */
  push(changes) { return this.#parts.gateway.push(changes); }

  /** Any other command of `deputy` on the gateway's configuration: `{ code, stdout, stderr }`. */
  command(command) { return this.#parts.gateway.command(command); }

  /** The directory that the gateway watches. */
  get gatewayDirectory() { return this.#parts.gateway.directory; }

  get pids() { return Object.fromEntries(Object.entries(this.#parts).map(([name, part]) => [name, part.pid])); }

  /** What the authorization server was asked at its token endpoint. */
  tokenRequests() { return [...this.#earlierEvents, ...(this.#parts.authorizationServer?.events ?? [])]; }

  exchanges() { return this.tokenRequests().filter(({ event }) => event === 'exchange'); }

  /** What reached the ledger. */
  ledgerRequests() {
    return existsSync(this.logs.ledger)
      ? readFileSync(this.logs.ledger, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line)) : [];
  }

  /** The gateway's audit records so far. Envoy may write one a moment after the client has its answer. */
  auditRecords() { return auditRecords(readFileSync(this.logs.envoy, 'utf8')); }

  async stop() {
    for (const name of ['gateway', 'ledger', 'authorizationServer']) await this.#stop(name);
    this.onStop?.();
  }

  async #stop(name) {
    const part = this.#parts[name];
    delete this.#parts[name];
    await part?.stop();
  }
}

if (import.meta.main) {
  const port = (name) => (process.env[name] ? Number(process.env[name]) : undefined);
  const stack = await startStack({
    directory: process.env.DIRECTORY,
    ports: {
      gateway: port('GATEWAY_PORT'),
      admin: port('ADMIN_PORT'),
      authorizationServer: port('AUTHORIZATION_SERVER_PORT'),
      ledger: port('LEDGER_PORT'),
    },
  });
  const { gatewayUrl, authorizationServerUrl, ledgerUrl, adminUrl, logs, pids } = stack;
  console.log(JSON.stringify({ event: 'ready', gatewayUrl, authorizationServerUrl, ledgerUrl, adminUrl, logs, pids }));
}
