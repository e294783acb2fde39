// Rows K: tokens that nobody should believe. Whatever is wrong, the client hears the same and nothing goes up; why is in the audit record alone.
import assert from 'node:assert/strict';
import { createHash, createHmac, createPublicKey, randomBytes } from 'node:crypto';
import { after, before, describe } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { LEDGER } from '../../../demo/enterprise-ledger/delegation-token.mjs';
import { until } from '../../../demo/process.mjs';
import { JSON_HEADERS, toolCall } from '../support/client.mjs';
import { request2 } from '../support/http2.mjs';
import { hostileKeys, publicPart } from '../support/keys.mjs';
import { raw } from '../support/raw-http.mjs';
import { pushing } from '../support/stack.mjs';
import { each, eachAtOnce, rowsOf } from '../support/tables.mjs';
import { startTarget } from '../support/target.mjs';
import { decode, fingerprint, inSeconds, signer } from '../support/tokens.mjs';
import { ROWS } from './rows-tokens.mjs';

const row = rowsOf(ROWS);
const PING = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' });
const OTHER_ISSUER = 'https://other.example';
// An algorithm that the key is not for, be it known here or not.
const NOT_ITS_ALGORITHM = /^(unknown_key|unsupported_algorithm|algorithm_not_allowed)$/;
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const ED25519_ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

const number = (octets) => BigInt(`0x${Buffer.from(octets).toString('hex')}`);
const octets = (value, length) => Buffer.from(value.toString(16).padStart(2 * length, '0'), 'hex');
const der = (jwk, type = 'spki', format = 'der') => createPublicKey({ key: jwk, format: 'jwk' }).export({ type, format });
const hmac = (secret, hash = 'sha256') => (input) => createHmac(hash, secret).update(input).digest();
const signatureOf = (token) => Buffer.from(token.split('.')[2], 'base64url');
const resigned = (token, signature) => token.replace(/[^.]*$/, Buffer.from(signature).toString('base64url'));

/** Names and tokens, of names and values; a value that has no name is its own. */
const tokensOf = (values, token) => Object.fromEntries((Array.isArray(values) ? values.map((value) => [JSON.stringify(value)?.slice(0, 60) ?? 'absent', value]) : Object.entries(values))
  .map(([name, value]) => [name, token(value)]));

describe('tokens that nobody should believe', () => {
  const keys = hostileKeys();
  let target;
  let mint;
  before(async () => {
    const edit = pushing((pushed) => {
      const [issuer] = pushed.issuers;
      const [{ kid }] = issuer.jwks.keys;
      issuer.jwks.keys.push(...keys.inTheSet);
      pushed.issuers.push({ ...issuer, issuer: OTHER_ISSUER, jwks: { keys: [{ ...publicPart(keys.other), kid }] } });
      pushed.policies['enterprise-ledger'].baseline = 'without_token';
    });
    target = await startTarget({ echo: true, gateway: { edit } });
    ({ mint } = target);
  });
  after(async () => {
    await target?.assertHealthy({ refusedPushes: true });
    await target?.stop();
  });

  const ask = (token, http = raw, body = PING) => {
    const headers = [...JSON_HEADERS, ['authorization', `Bearer ${token}`]];
    return http === raw ? raw(target.port, { headers: [...headers, ['content-length', body.length]], body }) : request2(target.port, { headers, pieces: [body] });
  };

  /** Each of `cases`, by name, gets the answer of all the others over either version of HTTP; each record has the reason. */
  async function rejected(reason, cases) {
    await each(Object.entries(cases), async ([, token]) => {
      for (const http of [raw, request2]) {
        const { status, headers, text } = await ask(token, http);
        assert.equal(status, 401, text);
        assert.match(headers.get('www-authenticate'), /^Bearer error="invalid_token", scope="mcp:connect", resource_metadata="http:[^"]+"$/);
        assert.deepEqual(JSON.parse(text), { jsonrpc: '2.0', id: null, error: { code: 401, message: 'The access token is not accepted.' } });
        assert.equal(target.echo.take().length, 0);
      }
    });
    const names = new Map(Object.entries(cases).map(([name, token]) => [fingerprint(token), name]));
    const records = await until(() => {
      const found = target.stack.auditRecords().filter(({ token_id: id }) => names.has(id));
      return found.length >= 2 * names.size && found;
    }, 'the records');
    const expected = reason instanceof RegExp ? reason : new RegExp(`^${reason}$`);
    const wrong = records.filter((record) => !expected.test(record.reason) || record.decision !== 'refuse' || record.subject !== undefined);
    assert.deepEqual(wrong.map((record) => [names.get(record.token_id), record.reason]), []);
    const log = target.envoyLog();
    for (const token of Object.values(cases).filter((one) => one.length > 100)) assert.ok(!log.includes(token), 'no token in the log');
  }

  const accepted = (cases) => each(Object.entries(cases), async ([, token]) => {
    assert.equal((await ask(token)).status, 200);
    assert.equal(target.echo.take().length, 1);
  });

  /** Signed as `alg` by `key`, and named so, unless `header` says otherwise. */
  const as = (alg, key, header = {}) => mint.token({}, { alg, kid: key.kid, ...header }, { signature: signer(alg, key) });

  row('K02', async () => {
    const { p256, ed25519 } = keys.sound;
    const known = { nothing: '', PEM: der(mint.key, 'spki', 'pem'), 'PEM without its last line feed': der(mint.key, 'spki', 'pem').trim(), 'PEM of PKCS #1': der(mint.key, 'pkcs1', 'pem'), DER: der(mint.key), 'DER of PKCS #1': der(mint.key, 'pkcs1'),
      'n as text': mint.key.n, 'n as bytes': Buffer.from(mint.key.n, 'base64url'), JWK: JSON.stringify(publicPart(mint.key)) };
    const by = (alg, kid, secret, hash) => mint.token({}, { alg, kid }, { signature: hmac(secret, hash) });
    const secret = Buffer.from(keys.secret.k, 'base64url');
    await rejected('unsupported_algorithm', {
      ...tokensOf(known, (one) => by('HS256', mint.key.kid, one)), 'the key of P-256': by('HS256', p256.kid, der(p256)), 'x of Ed25519': by('HS256', ed25519.kid, Buffer.from(ed25519.x, 'base64url')),
      ...tokensOf(['HS256', 'HS384', 'HS512', 'hs256', 'HS256 '], (alg) => by(alg, keys.secret.kid, secret, `sha${/\d+/.exec(alg)[0]}`)),
    });
    await rejected('unknown_key', { 'the kid of a secret': as('RS256', { ...mint.key, kid: keys.secret.kid }) });
  });

  row('K03', async () => {
    const { p256, ed25519, withoutAlgorithm, ps256 } = keys.sound;
    await accepted({ 'RS256 by a key without alg': as('RS256', withoutAlgorithm), 'PS256 by it': as('PS256', withoutAlgorithm), PS256: as('PS256', ps256), ES256: as('ES256', p256), EdDSA: as('EdDSA', ed25519) });
    await rejected(NOT_ITS_ALGORITHM, {
      ...tokensOf(['PS256', 'RS384', 'RS512', 'PS384', 'PS512'], (alg) => as(alg, mint.key)), ...tokensOf({ 'RS256 by a PS256 key': 'RS256', 'PS384 by it': 'PS384', 'PS512 by it': 'PS512' }, (alg) => as(alg, ps256)),
      'ES256 by P-384': as('ES256', keys.p384), 'ES256 by secp256k1': as('ES256', keys.secp256k1), ES256K: as('ES256', keys.secp256k1, { alg: 'ES256K' }), 'ES384 by P-256': as('ES384', p256), 'ES512 by P-256': as('ES512', p256),
      'EdDSA by X25519': mint.token({}, { alg: 'EdDSA', kid: keys.unusable.X25519.kid }, { signature: () => randomBytes(64) }), 'Ed25519 as Ed448': as('EdDSA', ed25519, { alg: 'Ed448' }),
      'RSA as EdDSA': as('RS256', mint.key, { alg: 'EdDSA' }), 'RSA as ES256': as('RS256', mint.key, { alg: 'ES256' }), 'P-256 as RS256': as('ES256', p256, { alg: 'RS256' }), 'Ed25519 as RS256': as('EdDSA', ed25519, { alg: 'RS256' }),
    });
    await rejected('unsupported_algorithm', {
      ...tokensOf(['none', 'None', 'NONE', 'nOnE', 'rs256', 'Rs256', 'RS256 ', ' RS256', 'RS256\0', 'RS-256', 'RSA256', 'RS1', '', null, 256, true, ['RS256'], { name: 'RS256' }, undefined], (alg) => mint.token({}, { alg })),
      'none, without a signature': resigned(mint.token({}, { alg: 'none' }), ''),
    });
    await rejected('bad_signature', { 'RS256 as PS256': as('RS256', withoutAlgorithm, { alg: 'PS256' }), 'PS256 as RS256': as('PS256', withoutAlgorithm, { alg: 'RS256' }), 'RS512 as RS256': as('RS512', mint.key, { alg: 'RS256' }), 'RS1 as RS256': as('RS1', mint.key, { alg: 'RS256' }), 'PS384 as PS256': as('PS384', ps256, { alg: 'PS256' }), 'ES384 as ES256': as('ES384', p256, { alg: 'ES256' }) });
  });

  row('K05', async () => {
    const { kid } = mint.key;
    const named = (name) => mint.token({}, { kid: name });
    const otherCase = [...kid].map((c) => (c === c.toUpperCase() ? c.toLowerCase() : c.toUpperCase())).join('');
    await rejected('unknown_key', tokensOf(['../../etc/passwd', '/dev/null', "' OR 1=1", "' OR '1'='1' --", '*', '%', '0', '1', 'null', `${kid} `, ` ${kid}`, `${kid}\0`, `${kid}\0.pem`, kid.slice(0, -1), kid + kid, otherCase, `\u{feff}${kid}`, keys.sound.p256.kid, 'k'.repeat(256), undefined], named));
    await rejected('malformed_header', tokensOf(['', null, 0, 7, true, [kid], { kid }, 'k'.repeat(257)], named));
    const own = { jwk: publicPart(keys.other), jku: 'http://127.0.0.1/keys', x5u: 'http://127.0.0.1/chain', x5c: ['MIIB'] };
    await rejected('forbidden_header', { ...tokensOf(Object.keys(own), (member) => mint.token({}, { [member]: own[member] })), 'its own key, which signed it': mint.token({}, { jwk: publicPart(keys.other) }, { key: keys.other }) });
    // A thumbprint brings no key, and chooses none.
    await rejected('bad_signature', tokensOf(['x5t', 'x5t#S256'], (member) => mint.token({}, { kid, [member]: 'AAAA' }, { key: keys.other })));
    await rejected('too_long', { 'a kid of 7 kB': named('k'.repeat(7_000)) });
    assert.equal((await ask(named('k'.repeat(1_048_576))))?.status, 431);
    assert.equal(target.echo.take().length, 0);
  });

  const crits = [['bork'], ['b64'], ['exp'], ['alg'], ['crit'], [], [''], [null], 'exp', '', null, false, 0, {}];
  row('K06', () => rejected('forbidden_header', { ...tokensOf(crits, (crit) => mint.token({}, { crit, exp: inSeconds(600) })), 'with what it names': mint.token({}, { crit: ['bork'], bork: true }), 'in escapes': mint.token({}, JSON.stringify(mint.header()).replace('{', '{"cr\\u0069t":["bork"],')) }));

  row('K07', () => rejected('forbidden_header', { ...tokensOf([false, true, null, 'false', 0], (b64) => mint.token({}, { b64 })), ...tokensOf({ 'and must be understood': ['b64'] }, (crit) => mint.token({}, { b64: false, crit })) }));

  row('K08', async () => {
    const deflated = deflateRawSync(JSON.stringify(mint.claims()));
    await rejected('forbidden_header', tokensOf(['DEF', 'def', 'GZIP', '', null, false], (zip) => mint.token(zip === 'DEF' ? deflated : {}, { zip })));
    await rejected('malformed_claims', { 'and do not say so': mint.token(deflated) });
  });

  row('K11', async () => {
    const cbor = Buffer.from('a163737562646a6f686e', 'hex');
    await rejected('forbidden_header', tokensOf(['CBOR', 'cbor', 'application/cbor', 'JWT', 'application/json', '', null], (cty) => mint.token(/cbor/i.test(cty) ? cbor : {}, { cty })));
    await rejected('malformed_claims', { 'and do not say so': mint.token(cbor) });
  });

  row('K12', async () => {
    const { p256, ed25519, ps256 } = keys.sound;
    const good = { RS256: mint.token(), PS256: as('PS256', ps256), ES256: as('ES256', p256), EdDSA: as('EdDSA', ed25519) };
    await accepted(good);
    const lengths = (signature) => ({
      empty: '', 'one byte': signature.subarray(0, 1), 'a byte short': signature.subarray(0, -1), 'a byte short in front': signature.subarray(1), half: signature.subarray(0, signature.length / 2), twice: Buffer.concat([signature, signature]),
      'a zero in front': Buffer.concat([Buffer.alloc(1), signature]), 'a zero behind': Buffer.concat([signature, Buffer.alloc(1)]), zeros: Buffer.alloc(signature.length), ones: Buffer.alloc(signature.length, 0xff), reversed: Buffer.from(signature).reverse(), '3 kB': Buffer.alloc(3_000, 1),
    });
    for (const [alg, token] of Object.entries(good)) {
      await rejected('bad_signature', tokensOf(lengths(signatureOf(token)), (signature) => resigned(token, signature)));
    }
    const n = number(Buffer.from(mint.key.n, 'base64url'));
    await rejected('bad_signature', tokensOf({ 0: 0n, 1: 1n, 'n - 1': n - 1n, n, 'n + 1': n + 1n }, (value) => resigned(mint.token(), octets(value, 256))));
    const beyond = mint.token();
    await rejected('bad_signature', { 'the signature plus n': resigned(beyond, octets(number(signatureOf(beyond)) + n, 257)) });
    const edges = { 0: 0n, 1: 1n, 'n - 1': P256_ORDER - 1n, n: P256_ORDER, 'n + 1': P256_ORDER + 1n };
    await rejected('bad_signature', tokensOf(Object.fromEntries(Object.entries(edges).flatMap(([r, first]) => Object.entries(edges).map(([s, second]) => [`r = ${r}, s = ${s}`, [first, second]]))),
      ([r, s]) => resigned(as('ES256', p256), Buffer.concat([octets(r, 32), octets(s, 32)]))));
    const [r, s] = [signatureOf(good.ES256).subarray(0, 32), signatureOf(good.ES256).subarray(32)];
    const integer = (value) => Buffer.concat([Buffer.from([2, 33, 0]), value]);
    await rejected('bad_signature', { 'r alone': resigned(good.ES256, r), 's before r': resigned(good.ES256, Buffer.concat([s, r])), DER: resigned(good.ES256, Buffer.concat([Buffer.from([0x30, 70]), integer(r), integer(s)])) });
    const [point, scalar] = [signatureOf(good.EdDSA).subarray(0, 32), Buffer.from(signatureOf(good.EdDSA).subarray(32))];
    const larger = octets(number(scalar.reverse()) + ED25519_ORDER, 32).reverse();
    const one = Buffer.concat([Buffer.from([1]), Buffer.alloc(31)]);
    await rejected('bad_signature', { 'S + L': resigned(good.EdDSA, Buffer.concat([point, larger])), 'R of small order, S = 0': resigned(good.EdDSA, Buffer.concat([one, Buffer.alloc(32)])) });
  });

  row('K13', async () => {
    const token = as('ES256', keys.sound.p256);
    const [r, s] = [signatureOf(token).subarray(0, 32), signatureOf(token).subarray(32)];
    const mirrored = resigned(token, Buffer.concat([r, octets(P256_ORDER - number(s), 32)]));
    // Whichever worker it meets knows the token.
    const known = Object.fromEntries(Array.from({ length: 6 }, (_, i) => [i, token]));
    await accepted({ ...known, 'n - s': mirrored });
    const tail = signatureOf(token);
    await rejected('bad_signature', tokensOf({ 'another user': { sub: 'root' }, 'another scope': { scope: 'mcp:connect pii:read' }, 'no change but the jti': {} }, (claims) => resigned(mint.token(claims, { alg: 'ES256', kid: keys.sound.p256.kid }), tail)));
    await rejected('bad_signature', { 'another key, of the same type': resigned(as('ES256', keys.sound.p256), signatureOf(mint.token({}, { alg: 'ES256' }, { signature: signer('ES256', keys.p384) })).subarray(0, 64)) });
  });

  row('K14', async () => {
    const good = mint.token();
    const [header, payload, signature] = good.split('.');
    // Five question marks have a `_` in them wherever they begin, and such a length leaves bits in the last letter.
    const odd = (whole) => ['', 'x'].map((end) => JSON.stringify({ ...whole, note: `?????${end}` })).find(({ length }) => length % 3);
    const [oddHeader, oddPayload] = [odd(mint.header()), odd(mint.claims())];
    const unused = (text) => text.slice(0, -1) + BASE64[BASE64.indexOf(text.at(-1)) + 1];
    const classic = (text) => text.replaceAll('-', '+').replaceAll('_', '/');
    const changes = { padded: (text) => `${text}${'='.repeat(4 - (text.length % 4))}`, 'padded though full': (text) => `${text}====`, 'of the other alphabet': classic, 'with a space': (text) => `${text.slice(0, 9)} ${text.slice(9)}`, 'with a tab': (text) => `${text.slice(0, 9)}\t${text.slice(9)}`,
      'with bits that say nothing': unused, 'with a percent sign': (text) => `${text}%3D`, 'with a letter beyond': (text) => `${text}A`.slice(0, (Math.floor(text.length / 4) * 4) + 1) };
    await accepted({ 'as it should be': mint.token(oddPayload, oddHeader) });
    // Signed as it is written, so that nothing else is wrong with it.
    for (const part of [0, 1]) await rejected('not_compact', tokensOf(changes, (change) => mint.token(oddPayload, oddHeader, { input: (text) => text.split('.').map((one, i) => (i === part ? change(one) : one)).join('.') })));
    let usable = good;
    while (!/[-_][^.]*$/.test(usable)) usable = mint.token();
    await rejected('not_compact', tokensOf(changes, (change) => usable.replace(/[^.]+$/, change)));
    await rejected('not_compact', { 'four parts': `${good}.${signature}`, 'five parts': `${good}..`, 'two parts': `${header}.${payload}`, 'one part': header, dots: '...', 'a dot in front': `.${good}`, 'a dot behind': `${good}.` });
    await rejected(/^(malformed_header|malformed_claims)$/, { 'no header': `.${payload}.${signature}`, 'no claims': `${header}..${signature}`, 'two dots': '..' });
  });

  row('K15', async () => {
    const by = (jwk) => mint.token({}, { alg: jwk.kty === 'RSA' ? 'RS256' : 'ES256', kid: jwk.kid }, { signature: signer(jwk.kty === 'RSA' ? 'RS256' : 'ES256', jwk) });
    await rejected('unknown_key', tokensOf(keys.weak, by));
    // With e = 1 the signature is what it should be compared with (RFC 8017 section 9.2), and with a point of small order it proves nothing.
    const { 'e = 1': first, 'of small order': small } = keys.unusable;
    const itself = (input) => {
      const digest = Buffer.concat([Buffer.from('3031300d060960864801650304020105000420', 'hex'), createHash('sha256').update(input).digest()]);
      return Buffer.concat([Buffer.from([0, 1]), Buffer.alloc(256 - 3 - digest.length, 0xff), Buffer.alloc(1), digest]);
    };
    await rejected('unknown_key', {
      ...tokensOf(keys.unusable, ({ kty, kid, n }) => mint.token({}, { kid, alg: { RSA: 'RS256', EC: 'ES256', OKP: 'EdDSA' }[kty] }, { signature: () => Buffer.alloc(kty === 'RSA' ? Math.max(n.length >> 2, 1) * 3 : 64, 1).subarray(0, 4_000) })),
      'e = 1, forged': mint.token({}, { kid: first.kid }, { signature: itself }),
      'small order, forged': mint.token({}, { kid: small.kid, alg: 'EdDSA' }, { signature: () => Buffer.concat([Buffer.from([1]), Buffer.alloc(63)]) }),
    });
  });

  row('K16', async () => {
    const by = (jwk) => mint.token({}, { alg: jwk.kty === 'EC' ? 'ES256' : 'RS256', kid: jwk.kid }, { signature: signer(jwk.kty === 'EC' ? 'ES256' : 'RS256', { ...jwk, kty: jwk.kty.toUpperCase() }) });
    await rejected('unknown_key', { ...tokensOf(keys.unfit, by), 'with its private part': by(keys.published) });
    const good = mint.token();
    const set = (jwks) => pushing((pushed) => { pushed.issuers[0].jwks = jwks(pushed.issuers[0].jwks.keys); });
    const many = (count) => (own) => ({ keys: [...own, ...Array.from({ length: count }, (_, i) => ({ ...own[0], kid: `${i}` }))] });
    const bad = { 'not a set': () => [], 'no keys': () => ({}), 'keys in an object': (own) => ({ keys: { ...own } }), '101 keys': many(99), '10 000 keys': many(9_998), 'none of use': () => ({ keys: [keys.secret] }) };
    const twice = pushing((pushed) => JSON.stringify(pushed).replace('"jwks":{"keys":', '"jwks":{"keys":[],"keys":'));
    await each([...Object.entries(bad).map(([name, jwks]) => [name, set(jwks)]), ['keys twice', twice]], async ([, edit]) => {
      assert.equal(await target.stack.reconfigure({ edit }), 'rejected');
      assert.equal((await ask(good)).status, 200, 'by the keys of before');
    });
    target.echo.take();
  });

  row('K18', async () => {
    const far = [-8_334_601_228_800, -1, -1e300, 1e300, 9_223_372_036_854_775_807, -9_223_372_036_854_775_808, 18_446_744_073_709_551_615, 253_402_300_800, 1.7976931348623157e308, '1', 'tomorrow', '', true, [], {}, [1]];
    for (const claim of ['nbf', 'iat', 'exp']) await rejected('malformed_claims', tokensOf(far, (value) => mint.token({ [claim]: value })));
    await rejected('malformed_claims', tokensOf([-1, 1e300, '1'], (value) => mint.token({ auth_time: value })));
    await rejected('malformed_claims', tokensOf(['1e999', '-1e999', 'NaN', '1_000', '0x10', '01', '1.'], (text) => mint.token(JSON.stringify(mint.claims({ nbf: 7 })).replace('"nbf":7', `"nbf":${text}`))));
    await rejected('missing_claim', tokensOf({ 'no exp': { exp: undefined }, 'exp null': { exp: null }, 'no iat': { iat: undefined }, 'iat null': { iat: null } }, (claims) => mint.token(claims)));
    await accepted(tokensOf({ 'nbf null': null, 'nbf 0': 0, 'nbf with a fraction': inSeconds(-10) + 0.5 }, (nbf) => mint.token({ nbf })));
  });

  row('K19', async () => {
    await rejected('not_yet_valid', tokensOf([60, 300, 1e9, 200_000_000_000], (later) => mint.token({ nbf: inSeconds(later) })));
    await rejected('issued_in_future', tokensOf([60, 300, 1e9], (later) => mint.token({ iat: inSeconds(later), exp: inSeconds(later + 60) })));
    await rejected('issued_after_expiry', { 'issued after it ends': mint.token({ iat: inSeconds(0), exp: inSeconds(-1) }) });
    await rejected('lifetime_too_long', tokensOf([3_600, 1e6, 200_000_000_000], (later) => mint.token({ iat: inSeconds(-1), exp: inSeconds(later) })));
    await rejected('expired', tokensOf([-10, -300, -1e9], (earlier) => mint.token({ iat: inSeconds(earlier - 300), exp: inSeconds(earlier) })));
  });

  row('K21', async () => {
    const { iss } = mint.claims();
    const { port } = new URL(iss);
    await rejected('wrong_issuer', tokensOf([`${iss}/`, `${iss}//`, `${iss}/x`, `${iss}?`, `${iss}#`, `${iss}.evil.example`, ` ${iss}`, `${iss} `, iss.slice(0, -1), iss.replace('http', 'HTTP'), iss.replace('http', 'https'), `http://user@127.0.0.1:${port}`, `http://127.1:${port}`, `http://127.0.0.1:0${port}`, `http://localhost:${port}`,
      'http://127.0.0.1', iss.replace('127', '%31%32%37'), 'https://evil.example', `https://evil.example/${iss}`, `${OTHER_ISSUER}/`, `${OTHER_ISSUER}:443`, OTHER_ISSUER.toUpperCase(), 'https://other.example.', 'https://óther.example', 'null', '*'], (name) => mint.token({ iss: name })));
    await rejected(/^(malformed_claims|missing_claim)$/, tokensOf([undefined, null, '', 0, true, [iss], [iss, iss], { iss }, `${iss}\0`, `${iss}\n`, `${iss}${'x'.repeat(1_100)}`], (name) => mint.token({ iss: name })));
  });

  row('K22', async () => {
    const { aud } = mint.claims();
    const { origin } = new URL(aud);
    await accepted(tokensOf([aud, [aud], ['https://a.example', aud], [...Array.from({ length: 63 }, (_, i) => `https://a.example/${i}`), aud]], (name) => mint.token({ aud: name })));
    await rejected('wrong_audience', tokensOf([`${aud}/`, `${aud}?`, `${aud}#`, `${aud} `, ` ${aud}`, `${aud}/x`, `${aud}x`, aud.slice(0, -1), origin, `${origin}/`, `${origin}/MCP`, `${origin}/%6dcp`, `${origin}//mcp`, `${origin}/./mcp`, aud.replace('http', 'HTTP'), aud.replace('http', 'https'), aud.replace('127.0.0.1', 'localhost'), aud.slice(7),
      `https://evil.example/?${aud}`, `https://evil.example ${aud}`, `${aud},https://evil.example`, LEDGER, mint.claims().iss, 'mcp', '*', [`${aud}/`, 'https://a.example']], (name) => mint.token({ aud: name })));
    await rejected(/^(malformed_claims|missing_claim)$/, tokensOf([undefined, null, '', 0, 1, true, {}, { [aud]: true }, [], [null], [aud, null], [aud, 7], [[aud]], [aud, ''], [`${aud}\0`], Array(65).fill(aud)], (name) => mint.token({ aud: name })));
    assert.equal((await ask(mint.token({ aud: Array(100_000).fill(aud) })))?.status, 431);
    assert.equal(target.echo.take().length, 0);
  });

  row('K23', async () => {
    const other = { ...keys.other, kid: mint.key.kid };
    await accepted({ 'each with its own': mint.token(), 'the other too': mint.token({ iss: OTHER_ISSUER }, {}, { key: other }) });
    await rejected('bad_signature', { 'the first by the other\'s key': mint.token({}, {}, { key: other }), 'the other by the first\'s': mint.token({ iss: OTHER_ISSUER }) });
    await rejected('unknown_key', { 'the other by a kid of the first': mint.token({ iss: OTHER_ISSUER }, { alg: 'ES256', kid: keys.sound.p256.kid }, { signature: signer('ES256', keys.sound.p256) }) });
  });

  row('K24', async () => {
    const [claims, header] = [JSON.stringify(mint.claims()), JSON.stringify(mint.header())];
    const members = { sub: 'root', aud: mint.claims().aud, iss: mint.claims().iss, scope: 'mcp:connect pii:read', exp: inSeconds(600), client_id: 'x', jti: 'x', 's\\u0075b': 'root', Sub: 'root', SCOPE: 'pii:read', '\u017fub': 'root' };
    const front = (text, name, value) => text.replace('{', () => `{"${name}":${JSON.stringify(value)},`);
    const behind = (text, name, value) => text.replace(/\}$/, () => `,"${name}":${JSON.stringify(value)}}`);
    const malformed = { nothing: '', 'a list': `[${claims}]`, text: JSON.stringify(claims), 'null': 'null', 'a mark in front': `\ufeff${claims}`, 'something behind': `${claims}{}`, 'a null byte behind': `${claims}\0`, 'not UTF-8': Buffer.from(claims.replace('mcp-client', '\xff'), 'latin1'), 'half a pair': claims.replace('mcp-client', '\\ud800'), 'a comment': claims.replace('{', '{/**/'), 'a comma more': claims.replace(/\}$/, ',}'), 'single quotes': claims.replaceAll('"', "'"), 'too deep': front(claims, 'a', JSON.parse(`${'['.repeat(65)}${']'.repeat(65)}`)) };
    await rejected('malformed_claims', {
      ...tokensOf(Object.keys(members), (name) => mint.token(front(claims, name, members[name]))), ...tokensOf(Object.fromEntries(Object.keys(members).map((name) => [`${name} behind`, name])), (name) => mint.token(behind(claims, name, members[name]))),
      within: mint.token(claims.replace('"may_act":{', '"may_act":{"sub":"root",')), ...tokensOf(malformed, (text) => mint.token(text)),
    });
    const headerMembers = { alg: 'none', kid: 'x', typ: 'at+jwt', ALG: 'RS256', Kid: 'x', 'a\\u006cg': 'none' };
    await rejected('malformed_header', {
      ...tokensOf(Object.keys(headerMembers), (name) => mint.token({}, front(header, name, headerMembers[name]))), ...tokensOf(Object.fromEntries(Object.keys(headerMembers).map((name) => [`${name} behind`, name])), (name) => mint.token({}, behind(header, name, headerMembers[name]))),
      ...tokensOf({ nothing: '', 'a list': `[${header}]`, 'a mark in front': `\ufeff${header}`, 'something behind': `${header} x`, 'too deep': `${'{"a":'.repeat(65)}1${'}'.repeat(65)}` }, (text) => mint.token({}, text)),
    });
  });

  // Endpoint and tool ask for one scope each, so that each shape is seen to grant both, one or none.
  const PII = JSON.stringify(toolCall('getCustomerPII'));
  async function scopesOf(claims) {
    const token = mint.token({ scope: undefined, ...claims });
    const { status, headers } = await ask(token, raw, PII);
    if (status === 403) assert.match(headers.get('www-authenticate'), /^Bearer error="insufficient_scope", scope="mcp:connect pii:read", resource_metadata="http:[^"]+"/);
    const record = await target.record(({ token_id: id }) => id === decode(token).jti);
    assert.equal(record.subject, mint.claims().sub);
    assert.equal(target.echo.take().length, status === 200 ? 1 : 0);
    return [status, record.reason];
  }
  const grants = (cases) => each(cases, async (claims) => assert.deepEqual(await scopesOf(claims), [200, undefined], JSON.stringify(claims)));
  const lacks = (cases) => each(cases, async (claims) => {
    const [status, reason] = await scopesOf(claims);
    assert.deepEqual([status, reason], [403, 'insufficient_scope'], JSON.stringify(claims));
  });

  row('K25', async () => {
    await grants([{ scope: 'mcp:connect pii:read' }, { scope: 'pii:read  mcp:connect' }, { scope: ' mcp:connect pii:read ' }, { scope: 'mcp:connect pii:read pii:read' }]);
    // The demo's authorization server knows no lists, so what is granted is seen without an exchange.
    await accepted(tokensOf([['mcp:connect'], ['pii:read', 'mcp:connect']], (scope) => mint.token({ scope })));
    await lacks([{}, { scope: null }, { scope: '' }, { scope: 'mcp:connect' }, { scope: 'mcp:connect\tpii:read' }, { scope: 'mcp:connect\npii:read' }, { scope: 'mcp:connect,pii:read' }, { scope: 'mcp:connect;pii:read' }, { scope: 'mcp:connect\u00a0pii:read' }, { scope: 'mcp:connect+pii:read' }, { scope: ['mcp:connect pii:read'] }, { scope: ['mcp:connect', 7, null, 'pii:read'] },
      { scope: ['mcp:connect', ['pii:read']] }, { scope: { 'mcp:connect': true, 'pii:read': true } }, { scope: 7 }, { scope: true }, { scope: '["mcp:connect","pii:read"]' },
      ...['scp', 'scopes', 'permissions', 'roles', 'groups', 'authorities'].flatMap((name) => [{ [name]: 'mcp:connect pii:read' }, { [name]: ['mcp:connect', 'pii:read'] }])]);
  });

  row('K26', () => lacks(['xpii:read', 'pii:readwrite', 'pii:read:own', 'PII:READ', 'Pii:read', 'pii:rea', 'pii', 'pii:', ':read', 'pii:*', '*', 'pii:read*', 'pii:read\0', '"pii:read"', 'pii%3Aread', 'pii\uff1aread', 'p\u0456i:read', 'pii:read,', '!pii:read', '-pii:read', '^pii:read$', '.*'].map((scope) => ({ scope: `mcp:connect ${scope}` }))));

  row('K27', async () => {
    await lacks([{ scope: 'mcp:connect', scp: 'pii:read' }, { scp: ['mcp:connect', 'pii:read'], scope: 'mcp:connect' }, { scope: '', scp: 'mcp:connect pii:read' }, { scope: [], scp: ['mcp:connect', 'pii:read'] }, { scope: 7, scp: 'mcp:connect pii:read' }, { scp: 'mcp:connect', scope: 'pii:read' }]);
    await grants([{ scope: 'mcp:connect pii:read', scp: 'mcp:connect' }]);
  });

  row('K28', async () => {
    const token = mint.token();
    await each(['getCustomerPII', 'getAuditLog'], async (tool) => {
      const batch = JSON.stringify([toolCall('listAccounts'), toolCall(tool, {}, 2)]);
      for (const body of [JSON.stringify(toolCall(tool)), batch]) {
        const { status, headers } = await ask(token, raw, body);
        assert.equal(status, 403);
        assert.match(headers.get('www-authenticate'), /error="insufficient_scope"/);
        assert.equal(target.echo.take().length, 0);
      }
    });
    assert.equal((await ask(token, raw, JSON.stringify(toolCall('listAccounts')))).status, 200);
    target.echo.take();
  });

  row('K31', async () => {
    // What costs nothing to see is seen first.
    const forged = (claims) => resigned(mint.token(claims), randomBytes(256));
    await rejected('wrong_audience', { 'another audience': forged({ aud: 'https://a.example' }) });
    await rejected('wrong_issuer', { 'another issuer': forged({ iss: 'https://a.example' }) });
    await rejected('expired', { expired: forged({ iat: inSeconds(-900), exp: inSeconds(-300) }) });
    const [base, good] = [mint.token(), mint.token()];
    const flood = Array.from({ length: 400 }, () => resigned(base, randomBytes(256)));
    const statuses = [];
    await Promise.all([
      eachAtOnce(flood, async (token) => assert.equal((await ask(token)).status, 401)),
      (async () => { for (let i = 0; i < 20; i += 1) statuses.push((await ask(good)).status); })(),
    ]);
    assert.deepEqual([new Set(statuses), target.echo.take().length], [new Set([200]), 20]);
  });

  row('K32', async () => {
    const wrong = ['JWT', 'jwt', undefined, 'id+jwt', 'rt+jwt', 'logout+jwt', 'secevent+jwt', 'dpop+jwt', 'oauth-id-jag+jwt', 'client-authentication+jwt', 'oauth-authz-req+jwt', 'token-introspection+jwt', 'vc+sd-jwt', 'at', 'at+jw', 'at+jwts', 'xat+jwt', 'at+jwt ', ' at+jwt', 'at+jwt;x', 'application/application/at+jwt', 'text/at+jwt', 'application/', 'application/jwt', '*'];
    await rejected('wrong_type', tokensOf(wrong, (typ) => mint.token({}, { typ })));
    await rejected('malformed_header', tokensOf([null, '', 7, ['at+jwt'], { typ: 'at+jwt' }], (typ) => mint.token({}, { typ })));
    const { aud, iss, sub } = mint.claims();
    await rejected('wrong_type', {
      'an ID token': mint.token({ nonce: 'n', at_hash: 'h', aud: 'mcp-client-cli' }, { typ: 'JWT' }), 'an ID token for this gateway': mint.token({ nonce: 'n' }, { typ: 'JWT' }), 'a logout token': mint.token({ events: { 'http://schemas.openid.net/event/backchannel-logout': {} } }, { typ: 'logout+jwt' }),
      'a client assertion': mint.token({ iss, sub: 'mcp-client-cli', aud }, { typ: 'JWT' }), 'a refresh token': mint.token({ typ: 'Refresh', sub }, { typ: 'JWT' }),
    });
    await rejected('sender_constrained', tokensOf([{ jkt: 'x' }, { 'x5t#S256': 'x' }, {}, null], (cnf) => mint.token({ cnf })));
    await accepted(tokensOf(['AT+JWT', 'application/at+jwt', 'Application/AT+jwt'], (typ) => mint.token({}, { typ })));
  });
});
