// A token endpoint that does nothing but sign, and remembers each exchange until it is asked for them.
//
//   PORT, STATE (see demo/keys.mjs), LIFETIME of its tokens in seconds
//   stdout: {"event":"ready","url"}
//   GET /exchanges: [[when it came, in ms since 1970, for how many ms its token really lives, caller, scope], …]
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { GATEWAY, keyPaths, readJson } from '../../demo/keys.mjs';
import { decode, tokenSigner } from '../../tests/envoy/support/tokens.mjs';

const LIFETIME = Number(process.env.LIFETIME ?? 5); // as the policy allows
const signed = tokenSigner(readJson(keyPaths(process.env.STATE).authorizationServer).jwks.keys.find(({ alg }) => alg === 'ES256'));
let exchanges = [];
let issuer;

function exchange(form) {
  const { sub, jti } = decode(form.get('subject_token'));
  const now = Date.now();
  // Whole seconds, so that a token lives for up to a second less than it says.
  const iat = Math.floor(now / 1000);
  const [scope, exp] = [form.get('scope'), iat + LIFETIME];
  const claims = { iss: issuer, sub, aud: form.get('audience'), client_id: GATEWAY, scope, iat, exp, jti: randomUUID(), act: { sub: GATEWAY } };
  exchanges.push([now, exp * 1000 - now, jti, scope]);
  return {
    access_token: signed(claims), token_type: 'Bearer', expires_in: LIFETIME, scope,
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
  };
}

const server = createServer((request, response) => {
  const answer = (value) => {
    const body = JSON.stringify(value);
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }).end(body);
  };
  if (request.url === '/exchanges') {
    answer(exchanges);
    exchanges = [];
    return;
  }
  let body = '';
  request.setEncoding('utf8').on('data', (chunk) => { body += chunk; }).on('end', () => answer(exchange(new URLSearchParams(body))));
});
server.keepAliveTimeout = 75_000; // longer than Envoy keeps an idle connection to us
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  console.log(JSON.stringify({ event: 'ready', url: issuer }));
});
