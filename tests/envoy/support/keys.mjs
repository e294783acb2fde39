// Keys that a key set may hold and that nobody may use, each with its private part, so that a token can be rightly signed by it.
import { generateKeyPairSync, randomBytes } from 'node:crypto';

const make = (kind, options, changes = {}) => ({ ...generateKeyPairSync(kind, options).privateKey.export({ format: 'jwk' }), kid: name(), use: 'sig', ...changes });
const name = () => randomBytes(6).toString('hex');
const base64 = (octets) => Buffer.from(octets).toString('base64url');
/** An odd modulus of so many bits that nobody knows the factors of. */
const modulus = (bits) => base64(Buffer.concat([Buffer.from([0x80]), randomBytes(bits / 8 - 2), Buffer.from([0x01])]));

export const publicPart = ({ d, p, q, dp, dq, qi, ...rest }) => rest;

/**
 * `sound` ones; `weak` and `unfit` ones, by what is the matter with them; `unusable` ones, which have no private part; others by
 * their names. `inTheSet` are all that are published, as a key set has them.
 */
export function hostileKeys() {
  const rsa = make('rsa', { modulusLength: 2048 });
  const like = (changes) => ({ ...rsa, kid: name(), alg: 'RS256', ...changes });
  const weak = (modulusLength, publicExponent = 65537) => make('rsa', { modulusLength, publicExponent }, { alg: 'RS256' });
  const p256 = (changes) => make('ec', { namedCurve: 'P-256' }, { alg: 'ES256', ...changes });
  const [twice, otherType] = [name(), name()];
  const keys = {
    sound: { ed25519: make('ed25519', {}, { alg: 'EdDSA' }), p256: p256(), ps256: like({ alg: 'PS256' }), withoutAlgorithm: like({ alg: undefined }) },
    weak: { '512 bits': weak(512), '1024 bits': weak(1024), '1536 bits': weak(1536), '2047 bits': weak(2047), 'e = 3': weak(2048, 3) },
    unfit: {
      'a kid once': like({ kid: twice }), 'the kid again': p256({ kid: otherType }), 'the kid of another type': like({ kid: otherType }), 'the same key, by the same kid': like({ kid: twice }),
      'for encryption': like({ use: 'enc' }), 'for signing alone': like({ key_ops: ['sign'] }), 'for no operation': like({ key_ops: [] }), 'for an operation in text': like({ key_ops: 'verify' }),
      'for OAEP': like({ alg: 'RSA-OAEP' }), 'for ES256, but RSA': like({ alg: 'ES256' }), 'for RS256, but P-256': p256({ alg: 'RS256' }), 'for HMAC': like({ alg: 'HS256' }), 'without a kid': like({ kid: undefined }),
      'of another type than it says': like({ kty: 'rsa' }),
    },
    unusable: {
      'e = 1': like({ e: 'AQ' }), 'an even e': like({ e: 'AQAA' }), 'an e of 9 bytes': like({ e: 'AQAAAAAAAAAB' }), 'no e': like({ e: undefined }), '16384 bits': like({ n: modulus(16_384) }), '2056 bits': like({ n: modulus(2056) }), 'no modulus': like({ n: '' }),
      'off the curve': p256({ y: base64(randomBytes(32)) }), 'at infinity': p256({ x: base64(Buffer.alloc(32)), y: base64(Buffer.alloc(32)) }), 'half a point': p256({ y: undefined }), 'of small order': { kty: 'OKP', crv: 'Ed25519', x: base64(Buffer.alloc(32)), kid: name(), alg: 'EdDSA' },
      X25519: make('x25519', {}, { alg: 'EdDSA' }),
    },
    published: like(),
    p384: make('ec', { namedCurve: 'P-384' }, { alg: 'ES384' }),
    secp256k1: make('ec', { namedCurve: 'secp256k1' }, { alg: 'ES256' }),
    secret: { kty: 'oct', k: base64('a secret that everybody can read'), kid: name(), alg: 'HS256' },
    other: make('rsa', { modulusLength: 2048 }, { alg: 'RS256' }),
  };
  const { sound, weak: weakOnes, unfit, unusable, published, p384, secp256k1, secret } = keys;
  const shown = [...[sound, weakOnes, unfit, unusable].flatMap(Object.values), p384, secp256k1].map(publicPart);
  return { ...keys, inTheSet: [...shown, published, secret, null, 'a key', {}] };
}
