// The demo's authorization server: oidc-provider (OpenID certified) with the scenario's users, clients and scopes.
//
//   PORT      port on 127.0.0.1; 0 (the default) takes a free one
//   ISSUER    its issuer identifier; default http://127.0.0.1:<port>
//   RESOURCE  the gateway's resource identifier, the audience of inbound tokens
//   STATE     directory made by demo/keys.mjs; default target/demo
//
// stdout, one JSON line each: {"event":"ready","url":...}, then one per token request:
// {"event":"exchange"|"token","client","grant","sub","scope","audience","status","error"}.
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';
import { keyPaths, readJson, stateDirectory } from '../keys.mjs';
import { configuration } from './configuration.mjs';
import { signInPage } from './sign-in.mjs';
import { registerTokenExchange, TOKEN_EXCHANGE } from './token-exchange.mjs';

const { PORT = '0', RESOURCE = 'http://127.0.0.1:10000/mcp' } = process.env;
const print = (line) => console.log(JSON.stringify(line));

const paths = keyPaths(stateDirectory());
const server = createServer().listen(Number(PORT), '127.0.0.1');
await new Promise((listening, failed) => server.once('listening', listening).once('error', failed));
const url = `http://127.0.0.1:${server.address().port}`;
const issuer = process.env.ISSUER ?? url;

const provider = new Provider(issuer, configuration({
  issuer,
  resource: RESOURCE,
  keys: readJson(paths.authorizationServer),
  gateway: readJson(paths.gatewayClient),
}));
registerTokenExchange(provider, { jwks: readJson(paths.jwks), resource: RESOURCE });
provider.use(serverMetadata);
provider.use(recordTokenRequests);
provider.use(signInPage(provider));
provider.on('server_error', (ctx, error) => console.error(error));

server.keepAliveTimeout = 75_000; // longer than Envoy keeps an idle connection to us
server.on('request', provider.callback());
print({ event: 'ready', url });

// RFC 8414: the same document as OpenID Connect discovery, under the name that MCP clients ask for.
function serverMetadata(ctx, next) {
  if (ctx.path === '/.well-known/oauth-authorization-server') ctx.path = '/.well-known/openid-configuration';
  return next();
}

async function recordTokenRequests(ctx, next) {
  await next();
  if (ctx.path !== '/token' || ctx.method !== 'POST') return;
  const { params = {}, client, entities } = ctx.oidc ?? {};
  print({
    event: params.grant_type === TOKEN_EXCHANGE ? 'exchange' : 'token',
    client: client?.clientId,
    grant: params.grant_type,
    sub: ctx.state.subject ?? entities?.Account?.accountId,
    scope: ctx.body?.scope ?? params.scope,
    audience: params.audience ?? params.resource,
    status: ctx.status,
    error: ctx.body?.error,
  });
}
