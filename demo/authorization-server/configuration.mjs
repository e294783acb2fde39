// oidc-provider's configuration: clients, resources, lifetimes and what goes into a token.
import { errors } from 'oidc-provider';
import { GATEWAY } from '../keys.mjs';
import { INBOUND, USERS } from './policy.mjs';
import { interactionUrl } from './sign-in.mjs';
import { TOKEN_EXCHANGE } from './token-exchange.mjs';

export function configuration({ issuer, resource, keys, gateway }) {
  const inbound = {
    audience: resource,
    scope: INBOUND.scopes.join(' '),
    accessTokenTTL: INBOUND.lifetime,
    accessTokenFormat: 'jwt',
    jwt: { sign: { alg: INBOUND.algorithm } },
  };
  // The gateway's own token is for this server alone (as an actor_token), never for its own front door.
  const actor = { ...inbound, audience: issuer, scope: '', accessTokenTTL: 60 };
  const resourceFor = (client) => (client.clientId === GATEWAY ? issuer : resource);

  return {
    jwks: keys.jwks,
    cookies: { keys: [keys.cookieKey] },
    clients: clients(gateway),
    scopes: ['openid', 'offline_access'],
    clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    extraClientMetadata: { properties: ['scope', 'application_type', 'grant_types'], validator: asUserClient },
    clientBasedCORS: (ctx, origin, client) => client.clientAuthMethod === 'none',
    pkce: { required: () => true },
    responseTypes: ['code'],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      // `claude mcp add` registers itself. Client-ID metadata documents stay off: with them advertised,
      // a client would need this server to fetch its document from the internet.
      registration: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: (ctx, client) => resourceFor(client),
        useGrantedResource: () => true,
        getResourceServerInfo(ctx, name, client) {
          if (name !== resourceFor(client)) throw new errors.InvalidTarget();
          return name === resource ? inbound : actor;
        },
      },
    },
    extraTokenClaims(ctx, token) {
      if (token.gty === 'token_exchange') return { act: { sub: token.clientId } };
      if (token.aud === resource) return { may_act: { sub: GATEWAY } };
      return undefined;
    },
    ttl: {
      AccessToken: (ctx, token) => token.resourceServer?.accessTokenTTL ?? INBOUND.lifetime,
      ClientCredentials: (ctx, token) => token.resourceServer?.accessTokenTTL ?? 60,
      AuthorizationCode: 60,
      IdToken: 600,
      Interaction: 600,
      RefreshToken: 86_400,
      Session: 86_400,
      Grant: 86_400,
    },
    findAccount: (ctx, sub) => (Object.hasOwn(USERS, sub) ? { accountId: sub, claims: () => ({ sub }) } : undefined),
    loadExistingGrant: (ctx) => grantWhatTheUserMayHave(ctx, ctx.oidc.provider),
    interactions: { url: interactionUrl },
    renderError(ctx, error) {
      ctx.type = 'json';
      ctx.body = error;
    },
  };
}

const clients = (gateway) => [
  {
    client_id: 'mcp-client-cli',
    client_name: 'MCP client (command line)',
    application_type: 'native', // RFC 8252: any port of a loopback callback
    token_endpoint_auth_method: 'none',
    redirect_uris: ['http://localhost:19876/callback', 'http://127.0.0.1:19876/callback'],
    grant_types: ['authorization_code'],
    response_types: ['code'],
  },
  {
    client_name: 'Deputy',
    token_endpoint_auth_method: 'client_secret_basic',
    ...gateway,
    redirect_uris: [],
    grant_types: ['client_credentials', TOKEN_EXCHANGE],
    response_types: [],
  },
];

// What a client registers for itself: a way to sign users in, and nothing else.
function asUserClient(ctx, property, value, metadata) {
  if (!ctx) return; // the clients above
  // Never a limit: a client that first asked for mcp:connect could not step up.
  if (property === 'scope') delete metadata.scope;
  // Never a token without a user.
  if (property === 'grant_types' && Array.isArray(value)) {
    metadata.grant_types = value.filter((type) => ['authorization_code', 'refresh_token'].includes(type));
  }
  // A loopback callback means a native client, which few clients think of saying.
  const loopback = (uri) => ['localhost', '127.0.0.1', '[::1]'].includes(URL.parse(uri)?.hostname);
  if (property === 'application_type' && metadata.redirect_uris?.every(loopback)) metadata.application_type = 'native';
}

// No consent screen, and a later request for more scopes (step-up) gets them if the user may have them.
async function grantWhatTheUserMayHave(ctx, provider) {
  const { client, session, params, result, resourceServers } = ctx.oidc;
  const id = result?.consent?.grantId ?? session.grantIdFor(client.clientId);
  const grant = (id && await provider.Grant.find(id))
    ?? new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
  const may = USERS[session.accountId].scopes;
  const asked = (params.scope ?? '').split(' ').filter((scope) => INBOUND.scopes.includes(scope));

  grant.addOIDCScope('openid offline_access');
  for (const resource of Object.keys(resourceServers)) {
    const allowed = asked.filter((scope) => may.includes(scope));
    const refused = asked.filter((scope) => !may.includes(scope));
    if (allowed.length) grant.addResourceScope(resource, allowed.join(' '));
    // Recorded as refused, or the server would ask the user again and again.
    if (refused.length) grant.rejectResourceScope(resource, refused.join(' '));
  }
  await grant.save();
  return grant;
}
