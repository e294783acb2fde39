// Inbound tokens, sound or not, made with the authorization server's own keys. By hand: no library would make most of these.
import { createHmac, createPrivateKey, createPublicKey, randomUUID, sign } from 'node:crypto';
import { SARAH } from '../../../demo/people.mjs';
import { GATEWAY, readJson } from '../../../demo/keys.mjs';

const encode = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const now = () => Math.floor(Date.now() / 1000);

export class Mint {
  #stack;
  #keys;

  constructor(stack) {
    this.#stack = stack;
    this.#keys = readJson(stack.keys.authorizationServer).jwks.keys;
  }

  get key() { return this.#keys.find(({ alg }) => alg === 'RS256'); }

  claims(changes = {}) {
    return { iss: this.#stack.authorizationServerUrl, sub: SARAH.user, aud: this.#stack.gatewayUrl, client_id: 'mcp-client-cli',
      scope: 'mcp:connect', iat: now(), exp: now() + 600, jti: randomUUID(), may_act: { sub: GATEWAY }, ...changes };
  }

  header(changes = {}) { return { alg: 'RS256', typ: 'at+jwt', kid: this.key.kid, ...changes }; }

  /** A token that is good but for `claims` and `header`. Signs with `key` (a JWK), or with what `signature` returns. */
  token(claims = {}, header = {}, { key = this.key, signature = rs256(key) } = {}) {
    const input = `${encode(typeof claims === 'string' ? claims : this.claims(claims))}`;
    const signed = `${encode(this.header(header))}.${input}`;
    return `${signed}.${encode64(signature(signed))}`;
  }

  /** HS256 with the public key as the secret (CVE-2015-9235 and its kin). */
  hs256(claims = {}) {
    const pem = createPublicKey({ key: this.key, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
    return this.token(claims, { alg: 'HS256' }, { signature: (input) => createHmac('sha256', pem).update(input).digest() });
  }
}

/** The claims of a token, unverified. */
export const decode = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString());

export const inSeconds = (seconds) => now() + seconds;

const encode64 = (bytes) => Buffer.from(bytes).toString('base64url');
const rs256 = (jwk) => (input) => sign('RSA-SHA256', Buffer.from(input), createPrivateKey({ key: jwk, format: 'jwk' }));
