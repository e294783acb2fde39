// RFC 8693: a user's inbound token becomes a delegation token for one service, one scope, five seconds.
import { createLocalJWKSet, jwtVerify } from 'jose';
import { errors } from 'oidc-provider';
import { DELEGATION, USERS } from './policy.mjs';

const { InvalidRequest, InvalidScope, InvalidTarget, UnauthorizedClient } = errors;

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const TOKEN_TYPES = ['urn:ietf:params:oauth:token-type:access_token', 'urn:ietf:params:oauth:token-type:jwt'];
const PARAMETERS = ['audience', 'resource', 'scope', 'requested_token_type',
  'subject_token', 'subject_token_type', 'actor_token', 'actor_token_type'];

export function registerTokenExchange(provider, { jwks, resource }) {
  const keys = createLocalJWKSet(jwks);

  async function verified(token, type, audience, what) {
    if (!TOKEN_TYPES.includes(type)) throw new InvalidRequest(`${what}_type is not supported`);
    try {
      // Inbound and actor tokens are RS256, so a delegation token can be neither.
      const { payload } = await jwtVerify(token, keys, {
        issuer: provider.issuer, audience, typ: 'at+jwt', algorithms: ['RS256'], clockTolerance: 0,
        requiredClaims: ['sub', 'exp', 'iat', 'client_id', 'jti'],
      });
      return payload;
    } catch {
      throw new InvalidRequest(`${what} is invalid`); // RFC 8693 2.2.2
    }
  }

  async function subjectOf({ subject_token: token, subject_token_type: type }, client) {
    if (!token || !type) throw new InvalidRequest('subject_token and subject_token_type are required');
    const subject = await verified(token, type, resource, 'subject_token');
    if (!USERS[subject.sub]) throw new InvalidRequest('subject_token is invalid');
    if (subject.may_act?.sub !== client.clientId) {
      throw new UnauthorizedClient('subject_token does not name this client in may_act');
    }
    return subject;
  }

  // The actor is the client that authenticated; an actor_token can only say so again.
  async function checkActor({ actor_token: token, actor_token_type: type }, client) {
    if (Boolean(token) !== Boolean(type)) throw new InvalidRequest('actor_token and actor_token_type go together');
    if (!token) return;
    const actor = await verified(token, type, provider.issuer, 'actor_token');
    if (actor.sub !== client.clientId) throw new InvalidRequest('actor_token is not the client');
  }

  function targetOf({ audience, resource: location }, client) {
    const targets = new Set([audience, location].flat().filter(Boolean));
    if (targets.size !== 1) throw new InvalidTarget('exactly one audience is required');
    const [name] = targets;
    const target = DELEGATION[client.clientId][name];
    if (!target) throw new InvalidTarget('not a permitted audience');
    return { name, ...target };
  }

  function scopeOf({ scope = '' }, target, subject) {
    const scopes = scope.split(' ').filter(Boolean);
    if (scopes.length !== 1) throw new InvalidScope('exactly one scope is required');
    const [asked] = scopes;
    if (!Object.hasOwn(target.scopes, asked)) throw new InvalidScope('not a scope of this audience', asked);
    const needed = target.scopes[asked];
    if (needed && !(subject.scope ?? '').split(' ').includes(needed)) {
      throw new InvalidScope(`the subject token lacks ${needed}`, asked);
    }
    return asked;
  }

  provider.registerGrantType(TOKEN_EXCHANGE, async (ctx) => {
    const { client, params } = ctx.oidc;
    if (!DELEGATION[client.clientId]) throw new UnauthorizedClient('client may not exchange tokens');
    if (params.requested_token_type && !TOKEN_TYPES.includes(params.requested_token_type)) {
      throw new InvalidRequest('requested_token_type is not supported');
    }
    const subject = await subjectOf(params, client);
    ctx.state.subject = subject.sub;
    await checkActor(params, client);
    const target = targetOf(params, client);
    const scope = scopeOf(params, target, subject);

    // A delegation never outlives the token it came from.
    const lifetime = Math.min(target.lifetime, subject.exp - Math.floor(Date.now() / 1000));
    if (lifetime <= 0) throw new InvalidRequest('subject_token is invalid');

    const token = new provider.AccessToken({
      accountId: subject.sub, client, gty: 'token_exchange', scope, expiresIn: lifetime,
    });
    token.resourceServer = new provider.ResourceServer(target.name, {
      audience: target.name, scope, accessTokenTTL: lifetime, accessTokenFormat: 'jwt', jwt: { sign: { alg: target.algorithm } },
    });
    ctx.body = {
      access_token: await token.save(),
      issued_token_type: params.requested_token_type ?? TOKEN_TYPES[0],
      token_type: 'Bearer',
      expires_in: lifetime,
      scope,
    };
  }, PARAMETERS, ['audience', 'resource']);
}
