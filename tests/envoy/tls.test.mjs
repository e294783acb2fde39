// TLS as `deputy render` writes it: clients' is ended, servers are spoken to in it, and believed by their name alone.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createServer } from 'node:tls';
import { root } from '../../demo/keys.mjs';
import { freePort } from '../../demo/process.mjs';
import { call, LIST_ACCOUNTS, requestHeaders, streamOn } from './support/client.mjs';
import { startTemporaryStack } from './support/stack.mjs';
import { inboundToken } from './support/tokens.mjs';

const file = (name) => join(root, 'tests/keys/tls', name);
const pem = (name) => readFileSync(file(name));
/** What a server shows: its own certificate, or one of the same authority for another name. */
const shown = (name) => ({ key: pem('localhost.key'), cert: pem(`${name}.crt`) });

/** Ends TLS before a server on a port of this machine. */
class Terminator {
  #sockets = new Set();
  /** How many bytes came in TLS. */
  received = 0;

  static async start(port) {
    const terminator = new Terminator();
    terminator.server = createServer(shown('localhost'), (socket) => {
      const behind = connect(port, '127.0.0.1');
      socket.on('data', (bytes) => { terminator.received += bytes.length; });
      for (const one of [socket, behind]) one.on('error', () => { socket.destroy(); behind.destroy(); });
      socket.pipe(behind).pipe(socket);
      terminator.#sockets.add(socket);
    }).listen(0, '127.0.0.1');
    await once(terminator.server, 'listening');
    terminator.address = `https://localhost:${terminator.server.address().port}`;
    return terminator;
  }

  /** From now on, and on no connection of before. */
  show(name) {
    this.server.setSecureContext(shown(name));
    this.#sockets.forEach((socket) => socket.destroy());
  }

  async stop() {
    this.#sockets.forEach((socket) => socket.destroy());
    await new Promise((closed) => this.server.close(closed));
  }
}

describe('TLS', () => {
  let stack;
  let ledger;
  let authorizationServer;
  before(async () => {
    const ports = { authorizationServer: await freePort(), ledger: await freePort() };
    authorizationServer = await Terminator.start(ports.authorizationServer);
    ledger = await Terminator.start(ports.ledger);
    stack = await startTemporaryStack({
      ports,
      gateway: {
        set: {
          'envoy.tls': JSON.stringify({ certificate_chain: file('localhost.crt'), private_key: file('localhost.key') }),
          'envoy.trusted_ca': file('authority.crt'),
          'envoy.clusters.authorization_server': authorizationServer.address,
          'envoy.clusters.enterprise_ledger': ledger.address,
        },
      },
    });
  });
  after(async () => {
    await stack?.stop();
    await ledger?.stop();
    await authorizationServer?.stop();
  });

  /** The status of a call, by HTTP/1.1. */
  async function status(token) {
    const request = httpsRequest(stack.gatewayUrl.replace('http:', 'https:'), {
      method: 'POST', headers: requestHeaders(token), ca: pem('authority.crt'), agent: false,
    });
    request.end(LIST_ACCOUNTS);
    const [answer] = await once(request, 'response');
    answer.resume();
    return answer.statusCode;
  }

  test('a call is served by HTTP/1.1 and by HTTP/2, and to the servers all goes in TLS', async () => {
    assert.equal(await status(inboundToken(stack).token), 200);
    const session = connectHttp2(`https://127.0.0.1:${stack.ports.gateway}`, { ca: pem('authority.crt') });
    assert.equal(await streamOn(session, inboundToken(stack).token).status, 200);
    session.close();
    assert.ok(ledger.received > 0 && authorizationServer.received > 0);
  });

  test('in clear nothing is served', async () => {
    await assert.rejects(call(stack, inboundToken(stack).token));
  });

  for (const [name, server] of [['authorization server', () => authorizationServer], ['MCP server', () => ledger]]) {
    test(`the ${name} gets nothing under a certificate for another name`, async () => {
      const { token } = inboundToken(stack);
      server().show('other');
      server().received = 0;
      assert.equal(await status(token), 503);
      assert.equal(server().received, 0);
      server().show('localhost');
      assert.equal(await status(inboundToken(stack).token), 200);
    });
  }
});

test('the name alone tells the two certificates apart', () => {
  const authority = new X509Certificate(pem('authority.crt'));
  for (const [name, host] of [['localhost', 'localhost'], ['other', undefined]]) {
    const certificate = new X509Certificate(pem(`${name}.crt`));
    assert.ok(certificate.verify(authority.publicKey));
    assert.equal(certificate.checkHost('localhost'), host);
  }
});
