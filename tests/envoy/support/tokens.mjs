// Tokens, sound or not, made with the authorization server's own keys. By hand: no library would make most of these.
import { constants, createHash, createHmac, createPrivateKey, createPublicKey, randomUUID, sign } from 'node:crypto';
import { SARAH } from '../../../demo/people.mjs';
import { GATEWAY, readJson } from '../../../demo/keys.mjs';

const encode = (value) => Buffer.from(typeof value === 'string' || Buffer.isBuffer(value) ? value : JSON.stringify(value)).toString('base64url');
const now = () => Math.floor(Date.now() / 1000);

const keysOf = (stack) => readJson(stack.keys.authorizationServer).jwks.keys;

/** Makes inbound tokens. */
export class Mint {
  #stack;
  #keys;

  constructor(stack) {
    this.#stack = stack;
    this.#keys = keysOf(stack);
  }

  get key() { return this.#keys.find(({ alg }) => alg === 'RS256'); }

  claims(changes = {}) {
    return { iss: this.#stack.authorizationServerUrl, sub: SARAH.user, aud: this.#stack.gatewayUrl, client_id: 'mcp-client-cli',
      scope: 'mcp:connect', iat: now(), exp: now() + 600, jti: randomUUID(), may_act: { sub: GATEWAY }, ...changes };
  }

  header(changes = {}) { return { alg: 'RS256', typ: 'at+jwt', kid: this.key.kid, ...changes }; }

  /**
   * A token that is good but for `claims` and `header`, either of which may be its whole text. Signs with `key` (a JWK), or
   * with what `signature` returns; `input` changes the two encoded parts before.
   */
  token(claims = {}, header = {}, { key = this.key, signature = signer(key.alg, key), input = (text) => text } = {}) {
    const part = (changes, whole) => encode(typeof changes === 'string' || Buffer.isBuffer(changes) ? changes : whole(changes));
    const signed = input(`${part(header, (changes) => this.header(changes))}.${part(claims, (changes) => this.claims(changes))}`);
    return `${signed}.${encode64(signature(signed))}`;
  }

  /** A token by another key than the first: `key` is a JWK with `kid` and `alg`. */
  by(key, claims = {}, header = {}) { return this.token(claims, { alg: key.alg, kid: key.kid, ...header }, { key }); }

  /** HS256 with the public key as the secret (CVE-2015-9235 and its kin). */
  hs256(claims = {}) {
    const pem = createPublicKey({ key: this.key, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
    return this.token(claims, { alg: 'HS256' }, { signature: (input) => createHmac('sha256', pem).update(input).digest() });
  }
}

/** An inbound token of Sarah's, by the scopes of which she may do all: `{ token, id }`. */
export function inboundToken(stack, changes = {}, key) {
  const [mint, id] = [new Mint(stack), randomUUID()];
  return { token: mint.by(key ?? mint.key, { scope: 'mcp:connect pii:read audit:read', jti: id, ...changes }), id };
}

/** A delegation token as the authorization server would make it for an exchange, with `changes`. */
export function delegationToken(stack, form, changes = {}, key = keysOf(stack).find(({ alg }) => alg === 'ES256')) {
  return tokenSigner(key)({
    iss: stack.authorizationServerUrl, aud: form.get('audience'), scope: form.get('scope'), sub: SARAH.user, client_id: GATEWAY,
    act: { sub: GATEWAY }, jti: randomUUID(), iat: now(), exp: now() + 5, ...changes,
  });
}

/** Makes access tokens (RFC 9068) of claims, signed by `key`, a private JWK. */
export function tokenSigner(key, alg = key.alg) {
  const [header, signature] = [encode({ alg, typ: 'at+jwt', kid: key.kid }), signer(alg, key)];
  return (claims) => {
    const signed = `${header}.${encode(claims)}`;
    return `${signed}.${encode64(signature(signed))}`;
  };
}

/** The claims of a token, unverified. */
export const decode = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString());

export const inSeconds = (seconds) => now() + seconds;

const encode64 = (bytes) => Buffer.from(bytes).toString('base64url');

/** What an audit record calls a token that is not accepted, or has no `jti`. */
export const fingerprint = (token) => createHash('sha256').update(token).digest('hex').slice(0, 16);

/** Signs as RFC 7518 section 3 says of `alg`, whether or not the key (a JWK) is for that. */
export function signer(alg, jwk) {
  const [family, bits] = [alg.slice(0, 2), alg.slice(2)];
  const padding = family === 'PS' ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST } : {};
  const key = { key: createPrivateKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363', ...padding };
  return (input) => sign(alg === 'EdDSA' ? null : `sha${bits}`, Buffer.from(input), key);
}
