// The ledger trusts no gateway: it verifies every delegation token itself.
import { decodeJwt, jwtVerify } from 'jose';

/** The audience of its tokens. */
export const LEDGER = 'https://enterprise-ledger.orchestrator.lab/';
const ACTOR = 'ai-identity-gateway';
const LIFETIME = 5; // seconds
const LEEWAY = 1; // seconds; a wider one would undo so short a life

export class Refusal extends Error {
  constructor(status, code, message) {
    super(message);
    Object.assign(this, { status, code });
  }
}

/** The claims of a token that may do `scopes`, or a Refusal. */
export async function verifyDelegationToken(token, { keys, issuer, scopes }) {
  if (!token) throw new Refusal(401, 'invalid_token', 'no bearer token');
  const claims = await verifiedClaims(token, { keys, issuer });
  if (claims.aud !== LEDGER) throw new Refusal(401, 'invalid_token', 'more than one audience');
  if (claims.exp - claims.iat > LIFETIME) throw new Refusal(401, 'invalid_token', `lives longer than ${LIFETIME} s`);
  if (claims.act?.sub !== ACTOR) throw new Refusal(403, 'access_denied', `actor is not ${ACTOR}`);
  if (!scopes.includes(claims.scope)) throw new Refusal(403, 'insufficient_scope', `needs exactly ${scopes.join(' or ')}`);
  return claims;
}

async function verifiedClaims(token, { keys, issuer }) {
  try {
    const { payload } = await jwtVerify(token, keys, {
      issuer, audience: LEDGER, typ: 'at+jwt', algorithms: ['ES256'], clockTolerance: LEEWAY,
      requiredClaims: ['sub', 'act', 'scope', 'client_id', 'iat', 'exp', 'jti'],
    });
    return payload;
  } catch (cause) {
    throw new Refusal(401, 'invalid_token', cause.message);
  }
}

/** What a token says of itself, for the log only: nothing is verified here. */
export function claimsForLog(token) {
  try {
    const { sub, act, scope, aud, iat, exp, jti, iss, client_id } = decodeJwt(token);
    return { sub, act, scope, aud, iat, exp, jti, iss, client_id };
  } catch {
    return null;
  }
}
