// The demo's keys and secrets, made once in a state directory:
//
//   authorization-server.json       private: signing keys and cookie key of the authorization server
//   authorization-server.jwks.json  public: what the gateway and the ledger verify tokens with
//   gateway-client.json             private: the gateway's client id and secret
//   gateway-secret.yaml             private: the same as HTTP Basic, in the form Envoy reads (SDS)
//
// Run: node demo/keys.mjs [state directory]   (or env STATE; default target/demo)
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';

export const GATEWAY = 'ai-identity-gateway';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

export const stateDirectory = (given = process.env.STATE) => resolve(given ?? join(root, 'target/demo'));

export async function ensureKeys(state) {
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const paths = keyPaths(state);

  const server = await once(paths.authorizationServer, async () => ({
    jwks: { keys: [await signingKey('RS256'), await signingKey('ES256')] },
    cookieKey: randomBytes(32).toString('base64url'),
  }));
  const client = await once(paths.gatewayClient, async () => ({
    client_id: GATEWAY,
    client_secret: randomBytes(32).toString('base64url'),
  }));
  writeAtomically(paths.jwks, JSON.stringify({ keys: server.jwks.keys.map(publicPart) }, null, 2), 0o644);
  writeAtomically(paths.gatewaySecret, envoySecret(client), 0o600);
  return paths;
}

export function keyPaths(state) {
  return {
    authorizationServer: join(state, 'authorization-server.json'),
    jwks: join(state, 'authorization-server.jwks.json'),
    gatewayClient: join(state, 'gateway-client.json'),
    gatewaySecret: join(state, 'gateway-secret.yaml'),
  };
}

export const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));

/** RFC 6749 2.3.1: id and secret are form-encoded before they are joined. */
export function basicCredential({ client_id, client_secret }) {
  const encode = (text) => new URLSearchParams([['', text]]).toString().slice(1);
  return `Basic ${btoa(`${encode(client_id)}:${encode(client_secret)}`)}`;
}

// A reader (Envoy watches the directory) sees the old file or the new one, never half of one.
export function writeAtomically(path, text, mode) {
  const temporary = `${path}.${process.pid}.new`;
  writeFileSync(temporary, text, { mode });
  renameSync(temporary, path);
}

async function once(path, make) {
  if (!existsSync(path)) writeAtomically(path, JSON.stringify(await make(), null, 2), 0o600);
  return readJson(path);
}

/** A private JWK that nobody trusts yet. */
export async function signingKey(alg = 'RS256') {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = await exportJWK(privateKey);
  return { ...jwk, use: 'sig', alg, kid: await calculateJwkThumbprint(jwk) };
}

// An allow-list: a private member added by some future key type stays private.
export function publicPart({ kty, kid, use, alg, n, e, crv, x, y }) {
  return { kty, kid, use, alg, n, e, crv, x, y };
}

/** The file that Envoy reads (SDS). */
export function envoySecret(client) {
  return `resources:
- "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret
  name: gateway-client-secret
  generic_secret:
    secret:
      inline_string: "${basicCredential(client)}"
`;
}

if (import.meta.main) {
  const state = stateDirectory(process.argv[2]);
  await ensureKeys(state);
  console.log(`keys and secrets: ${state}`);
}
