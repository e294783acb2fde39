// What the gateways are sent.
import { createPrivateKey, randomUUID, sign } from 'node:crypto';
import { readJson } from '../../demo/keys.mjs';
import { writeRequests } from '../generator.mjs';

/** Makes tokens of one caller, signed with RS256. */
export function caller({ issuer, resource, keys }) {
  const jwk = readJson(keys.authorizationServer).jwks.keys.find(({ alg }) => alg === 'RS256');
  const key = createPrivateKey({ key: jwk, format: 'jwk' });
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const sub = `user-${randomUUID()}`;
  return () => {
    const iat = Math.floor(Date.now() / 1000);
    const claims = { iss: issuer, sub, aud: resource, client_id: 'bench', scope: 'mcp:connect', iat, exp: iat + 3600, jti: randomUUID() };
    const input = `${encode({ alg: 'RS256', typ: 'at+jwt', kid: jwk.kid })}.${encode(claims)}`;
    return `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`;
  };
}

/** Writes the requests of a variant, one for each token, each with its length before it. */
export function writeCalls(file, tokens, { path = '/mcp', call, bytes = 300 }) {
  const text = (progressToken) => JSON.stringify({ jsonrpc: '2.0', id: 1, ...call, params: { ...call.params, _meta: { progressToken } } });
  const body = text('x'.repeat(Math.max(0, bytes - text('').length)));
  writeRequests(file, tokens.map((token) => [
    `POST ${path} HTTP/1.1`, 'host: gateway', 'content-type: application/json', 'accept: application/json, text/event-stream',
    'mcp-protocol-version: 2025-11-25', 'user-agent: bench', `authorization: Bearer ${token}`, `content-length: ${body.length}`, '', body,
  ].join('\r\n')));
}
