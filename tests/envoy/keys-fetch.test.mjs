// `deputy keys fetch`: the keys of the demo's authorization server, and issuers that lie about themselves.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { DEPUTY } from '../../demo/gateway.mjs';
import { readJson, signingKey } from '../../demo/keys.mjs';
import { call } from './support/client.mjs';
import { reply, ScriptedAuthorizationServer } from './support/scripted-authorization-server.mjs';
import { startTemporaryStack } from './support/stack.mjs';
import { inboundToken } from './support/tokens.mjs';

/** Runs the command: `{ code, stdout, stderr }`. */
const fetchKeys = (issuer, ...options) => new Promise((resolve) => {
  const child = execFile(DEPUTY, ['keys', 'fetch', issuer, ...options], (error, stdout, stderr) => {
    resolve({ code: child.exitCode, stdout, stderr });
  });
});

let directory;
before(() => { directory = mkdtempSync(join(tmpdir(), 'deputy-keys-')); });
after(() => rmSync(directory, { recursive: true, force: true }));

test('the demo\'s server: what is written is what the gateway reads, and is written once', async () => {
  const out = join(directory, 'demo.jwks.json');
  const stack = await startTemporaryStack({ gateway: { set: { 'issuers[0].jwks_file': out } } }).catch((error) => error);
  assert.match(stack.message, /no such file/, 'it takes the file');

  const servers = await startTemporaryStack({ gateway: false });
  try {
    const first = await fetchKeys(servers.authorizationServerUrl, '--out', out);
    assert.deepEqual([first.code, first.stdout], [0, ''], first.stderr);
    assert.equal(first.stderr, `${out}: written, 2 keys of ${servers.authorizationServerUrl}\n`);
    const kids = ({ keys }) => keys.map(({ kid }) => kid).sort();
    assert.deepEqual(kids(readJson(out)), kids(readJson(servers.keys.jwks)));

    const { ino } = statSync(out);
    const second = await fetchKeys(servers.authorizationServerUrl, '--out', out);
    assert.equal(second.stderr, `${out}: unchanged, 2 keys of ${servers.authorizationServerUrl}\n`);
    assert.equal(statSync(out).ino, ino);

    await servers.startGateway({ set: { 'issuers[0].jwks_file': out } });
    assert.equal((await call(servers, inboundToken(servers).token)).status, 200);
  } finally {
    await servers.stop();
  }
});

describe('an issuer', () => {
  let server;
  let issuer;
  let key;
  let paths; // what is answered where; anything else is not found
  before(async () => {
    server = await ScriptedAuthorizationServer.start();
    issuer = `http://${server.address}/tenant`;
    const { d, p, q, dp, dq, qi, ...rest } = await signingKey();
    key = rest;
    server.script = (request, response) => (paths[request.url] ?? notFound)(request, response);
  });
  after(() => server?.stop());
  const notFound = (request, response) => reply(response, 404, 'not found', { 'content-type': 'text/plain' });
  const giving = (body, status = 200, headers = undefined) => (request, response) => reply(response, status, body, headers);
  const OAUTH = '/.well-known/oauth-authorization-server/tenant';
  const OPENID = '/tenant/.well-known/openid-configuration';
  const OPENID_INSERTED = '/.well-known/openid-configuration/tenant';
  const metadata = (changes = {}) => ({ issuer, jwks_uri: `http://${server.address}/jwks?v=1`, ...changes });
  beforeEach(() => { paths = { [OAUTH]: giving(metadata()), '/jwks?v=1': giving({ keys: [key] }) }; });

  for (const place of [OAUTH, OPENID, OPENID_INSERTED]) {
    test(`is found at ${place}`, async () => {
      paths = { ...paths, [OAUTH]: undefined, [place]: giving(metadata()) };
      const { code, stdout } = await fetchKeys(issuer);
      assert.equal(code, 0);
      assert.deepEqual(JSON.parse(stdout), { keys: [key] });
    });
  }

  test('whose keys are not all usable: those that are, and why the others are not', async () => {
    const bad = [{ ...key, kid: 'enc', use: 'enc' }, { kty: 'oct', k: 'c2VjcmV0', kid: 'oct' }, { ...key, kid: 'd', d: 'AQAB' }];
    paths['/jwks?v=1'] = giving({ keys: [...bad, key] }, 200, { 'content-type': 'application/jwk-set+json' });
    const out = join(directory, 'partly.json');
    const text = await fetchKeys(issuer, '--out', out);
    assert.equal(text.code, 0);
    for (const line of [/keys\[0\] \(kid `enc`\): `use`/, /keys\[1\] \(kid `oct`\): symmetric/, /keys\[2\] \(kid `d`\): the key has private/]) {
      assert.match(text.stderr, line);
    }
    assert.deepEqual(readJson(out), { keys: [key] });

    const json = JSON.parse((await fetchKeys(issuer, '--out', out, '--format', 'json')).stdout);
    assert.deepEqual([json.outcome, json.issuer, json.file, json.jwks], ['unchanged', issuer, out, { keys: [key] }]);
    assert.deepEqual(json.skipped.map(({ kid }) => kid), ['enc', 'oct', 'd']);
  });

  for (const [what, change, message] of [
    ['of another name in its metadata', () => ({ [OAUTH]: giving(metadata({ issuer: `${issuer}/` })) }), /metadata of another issuer/],
    ['that names itself twice', () => ({ [OAUTH]: giving(`{"issuer":"x",${JSON.stringify(metadata()).slice(1)}`) }), /not an object in strict JSON/],
    ['without a name', () => ({ [OAUTH]: giving({ jwks_uri: metadata().jwks_uri }) }), /metadata of another issuer, null/],
    ['without metadata', () => ({ [OAUTH]: undefined }), /no metadata: .*status 404.*status 404.*status 404/s],
    ['that redirects to its metadata', () => ({ [OAUTH]: giving('', 302, { location: OPENID }) }), /no metadata: .*status 302/],
    ['with a page for metadata', () => ({ [OAUTH]: giving('<html>', 200, { 'content-type': 'text/html' }) }), /no metadata/],
    ['without keys', () => ({ [OAUTH]: giving(metadata({ jwks_uri: undefined })) }), /names no `jwks_uri`/],
    ['with keys over http elsewhere', () => ({ [OAUTH]: giving(metadata({ jwks_uri: 'http://login.example.com/jwks' })) }), /not an https URL/],
    ['with keys in a file', () => ({ [OAUTH]: giving(metadata({ jwks_uri: 'file:///etc/passwd' })) }), /not an https URL/],
    ['that redirects to its keys', () => ({ '/jwks?v=1': giving('', 302, { location: '/jwks' }), '/jwks': giving({ keys: [key] }) }), /answered with status 302/],
    ['whose keys fail', () => ({ '/jwks?v=1': giving({ keys: [key] }, 500) }), /answered with status 500/],
    ['with a page for keys', () => ({ '/jwks?v=1': giving({ keys: [key] }, 200, { 'content-type': 'text/html' }) }), /not application\/json/],
    ['with half a key set', () => ({ '/jwks?v=1': giving('{"keys":[') }), /not a JSON object/],
    ['with a huge key set', () => ({ '/jwks?v=1': giving(JSON.stringify({ keys: [key], x: 'x'.repeat(1 << 20) })) }), /longer than 256 KiB/],
    ['with no usable key', () => ({ '/jwks?v=1': giving({ keys: [{ ...key, use: 'enc' }] }) }), /no key of the set can verify a token; keys\[0\]/],
    ['with every key twice', () => ({ '/jwks?v=1': giving({ keys: [key, key] }) }), /another key has the same `kid`/],
  ]) {
    test(`${what}: nothing is written`, async () => {
      Object.assign(paths, change());
      const out = join(directory, 'kept.json');
      writeFileSync(out, '{"keys":["before"]}');
      const { code, stdout, stderr } = await fetchKeys(issuer, '--out', out);
      assert.equal(code, 13, stderr);
      assert.equal(stdout, '');
      assert.match(stderr, message);
      assert.equal(readFileSync(out, 'utf8'), '{"keys":["before"]}');
      assert.deepEqual(readdirSync(directory).filter((name) => name.endsWith('.tmp')), []);
    });
  }

  test('that does not answer is waited for no longer than was said', async () => {
    paths[OAUTH] = () => {};
    const started = performance.now();
    const { code, stderr } = await fetchKeys(issuer, '--timeout', '300ms');
    assert.equal(code, 13);
    assert.match(stderr, /timeout/);
    assert.ok(performance.now() - started < 10_000);
  });

  for (const wrong of ['http://login.example.com', 'login.example.com', 'https://login.example.com/?x', 'https://u@login.example.com']) {
    test(`called ${wrong} is not asked`, async () => {
      const { code, stderr } = await fetchKeys(wrong);
      assert.equal(code, 1);
      assert.match(stderr, /is not an https URL/);
    });
  }
});
