// What hostile and broken clients do: each kind makes a deed, which is done again and again, and throws if it got through.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import http2 from 'node:http2';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { LEDGER } from '../../demo/enterprise-ledger/delegation-token.mjs';
import { JOHN } from '../../demo/people.mjs';
import { current, JSON_HEADERS, toolCall } from '../envoy/support/client.mjs';
import { garbageBody, garbageHead, soundBody } from '../envoy/support/garbage.mjs';
import { connect2, fields } from '../envoy/support/http2.mjs';
import { exchangeBytes, raw } from '../envoy/support/raw-http.mjs';
import { decode, inSeconds } from '../envoy/support/tokens.mjs';

const CALL = JSON.stringify(toolCall('listAccounts'));
/** Of a stranger to the demo: nothing but the gateway's own checks stands in the way of what is wrong with it. */
const ANOTHER_KEY = { ...generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }), alg: 'RS256' };

/** Tokens that are not good. All have an identifier of this beginning. */
export const BAD = 'bad-';

const BAD_TOKENS = {
  expired: (mint, jti) => mint.token({ jti, iat: inSeconds(-900), exp: inSeconds(-300) }),
  'not yet valid': (mint, jti) => mint.token({ jti, nbf: inSeconds(300) }),
  'for another audience': (mint, jti) => mint.token({ jti, aud: LEDGER }),
  "another issuer's": (mint, jti) => mint.token({ jti, iss: 'https://evil.example' }),
  "another key's": (mint, jti) => mint.token({ jti }, {}, { key: ANOTHER_KEY }),
  'of an unknown key': (mint, jti) => mint.token({ jti }, { kid: jti }),
  'without a signature': (mint, jti) => mint.token({ jti }, { alg: 'none' }, { signature: () => Buffer.alloc(0) }),
  'signed with the public key': (mint, jti) => mint.hs256({ jti }),
  'an identity token': (mint, jti) => mint.token({ jti }, { typ: 'JWT' }),
  'without an end': (mint, jti) => mint.token({ jti, exp: undefined }),
  'cut off': (mint, jti) => mint.token({ jti }).slice(0, -20),
  'with other claims': (mint, jti) => {
    const [header, , signature] = mint.token({ jti }).split('.');
    return [header, Buffer.from(JSON.stringify(mint.claims({ jti, scope: 'mcp:connect pii:read' }))).toString('base64url'), signature].join('.');
  },
  'too long': (mint, jti) => mint.token({ jti, padding: 'x'.repeat(20_000) }),
};

/** `place`: `{ stack, port, mint, foreign }`; `foreign()` gives a session of somebody else's. */
export const HOSTILE = {
  'bad tokens': { clients: 2, make: ({ port, mint }) => async ({ pick, below }) => {
    const kind = pick(Object.keys(BAD_TOKENS));
    const token = BAD_TOKENS[kind](mint, `${BAD}${below(2 ** 31)}`);
    assert.equal((await ask(port, token, CALL))?.status, 401, kind);
  } },

  'garbage bodies': { clients: 2, make: ({ port, mint }) => {
    const token = oneOfJohns(mint);
    return async (source) => assertIn([200, 202, 400, 403, 404, 413], await ask(port, token(), garbageBody(source)));
  } },

  'garbage heads': { clients: 1, make: ({ port, mint }) => {
    const token = oneOfJohns(mint);
    return async (source) => {
      const body = source.below(4) ? soundBody(source) : garbageBody(source);
      const status = (await exchangeBytes(port, [garbageHead(source, token(), body), body], { seconds: 0.5 })).at(-1)?.status ?? 0;
      assert.ok(status < 500 || status === 501, `${status}`);
    };
  } },

  // Each with a token of its own, so that some leave while it is exchanged.
  'who go away': { clients: 2, make: ({ port, mint }) => async ({ below, pick }) => {
    const headers = [...JSON_HEADERS, ['authorization', `Bearer ${johns(mint)}`]];
    await pick([goAway1, goAway2])(port, headers, below);
  } },

  'who read slowly': { clients: 1, make: ({ port, mint }) => {
    const token = oneOfJohns(mint);
    return async () => {
      const session = http2.connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 1 } }).on('error', () => {});
      const list = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
      const stream = session.request(fields(port, [...JSON_HEADERS, ['authorization', `Bearer ${token()}`]]), { endStream: false }).on('error', () => {});
      stream.end(list);
      await once(stream, 'response');
      await sleep(1500);
      session.destroy();
    };
  } },

  'too much': { clients: 1, make: ({ port, mint }) => {
    const token = oneOfJohns(mint);
    return async ({ below }) => {
      const body = JSON.stringify(toolCall('getAccount', { accountId: 'x'.repeat(1_048_576 + below(1_000_000)) }));
      // Envoy may have answered and left before all is sent.
      assertIn([413, undefined], await ask(port, token(), body));
      await sleep(500);
    };
  } },

  'unknown paths': { clients: 1, make: ({ port, mint }) => {
    const token = oneOfJohns(mint);
    return async ({ pick }) => assertIn([404], await ask(port, token(), CALL, { path: pick(['/', '/MCP', '/mcp/', '/mcp//', '/mcp/other', '/token', '/mcp;x']) }));
  } },

  'what is not theirs': { clients: 1, make: ({ port, mint, foreign }) => {
    const token = oneOfJohns(mint);
    return async ({ pick }) => {
      const denied = pick([toolCall('dropAllAccounts'), toolCall('getCustomerPII', { customerId: 'CUST-001' })]);
      assertIn([200, 403], await ask(port, token(), JSON.stringify(denied)), /Access denied/);
      const { headers, body } = current('tools/call', { name: 'getCustomerPII', arguments: { customerId: 'CUST-001' } }, { name: 'listAccounts' });
      assertIn([400], await ask(port, token(), body, { headers }));
      const session = foreign();
      if (session) assertIn([404], await ask(port, token(), CALL, { path: '/mcp/sessions', headers: [['mcp-session-id', session]] }));
    };
  } },
};

const johns = (mint) => mint.token({ sub: JOHN.user });

/** A token that is made anew when it has grown old. */
function oneOfJohns(mint) {
  let token;
  return () => {
    if (!token || decode(token).exp < inSeconds(60)) token = johns(mint);
    return token;
  };
}

function ask(port, token, body, { path, headers = [] } = {}) {
  const bytes = Buffer.from(body);
  const all = [...JSON_HEADERS, ['authorization', `Bearer ${token}`], ...headers, ['content-length', bytes.length]];
  return raw(port, { path, headers: all, body: bytes });
}

function assertIn(statuses, answer, text = /^/) {
  assert.ok(statuses.includes(answer?.status), `${answer?.status} ${answer?.text}`);
  assert.match(answer?.text ?? '', text);
}

/** Leaves within the head, within the body, or some time after the request, be it before, within or after the answer. */
async function goAway1(port, headers, below) {
  const head = `POST /mcp HTTP/1.1\r\n${[['host', 'gateway'], ['content-length', CALL.length], ...headers].map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
  const text = head + CALL;
  const sent = below(2) ? text : text.slice(0, below(text.length));
  const socket = connect({ port, host: '127.0.0.1', noDelay: true }).on('error', () => {});
  socket.write(sent);
  await sleep(below(60));
  if (below(2)) socket.resetAndDestroy();
  else socket.destroy();
}

async function goAway2(port, headers, below) {
  const session = connect2(port);
  const stream = session.request(fields(port, headers), { endStream: false }).on('error', () => {});
  stream.write(below(2) ? CALL : CALL.slice(0, below(CALL.length)));
  if (below(2)) stream.end();
  await sleep(below(60));
  if (below(2)) {
    stream.close(http2.constants.NGHTTP2_CANCEL);
    if (!stream.destroyed) await Promise.race([once(stream, 'close'), sleep(1000)]);
  }
  session.destroy();
}
