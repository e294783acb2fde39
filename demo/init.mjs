// Makes the keys, and renders the gateway's configuration for docker-compose.yml into target/demo/compose. Part of `make init`.
import { join } from 'node:path';
import { renderGateway } from './gateway.mjs';
import { ensureKeys, stateDirectory } from './keys.mjs';
import { friendlyPorts as ports } from './ports.mjs';

const state = stateDirectory();
const directory = join(state, 'compose');
const keys = await ensureKeys(state);
await renderGateway(directory, {
  keys,
  ports,
  resource: `http://127.0.0.1:${ports.gateway}/mcp`,
  issuer: `http://127.0.0.1:${ports.authorizationServer}`,
  authorizationServer: `127.0.0.1:${ports.authorizationServer}`,
  ledger: `127.0.0.1:${ports.ledger}`,
});
console.log(`keys: ${state}\ngateway configuration: ${directory}`);
