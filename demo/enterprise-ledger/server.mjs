// Enterprise Ledger: an MCP server (Streamable HTTP, stateless, revisions up to 2026-07-28) that serves delegation tokens only.
//
//   PORT      port on 127.0.0.1; 0 (the default) takes a free one
//   ISSUER    the authorization server's issuer identifier
//   JWKS      file with its public keys; default: authorization-server.jwks.json in STATE
//   STATE     directory made by demo/keys.mjs; default target/demo
//   LOG       file that gets one JSON line per request: the claims presented and the verdict, never the token
//   DATABASE  file of the database; default: in memory
//
// stdout: {"event":"ready","url":...}
import { createHash } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { createMcpHandler } from '@modelcontextprotocol/server';
import { createLocalJWKSet } from 'jose';
import { keyPaths, readJson, stateDirectory } from '../keys.mjs';
import { openDatabase } from './database.mjs';
import { claimsForLog, Refusal, verifyDelegationToken } from './delegation-token.mjs';
import { CONNECT, ledgerServer, SCOPES } from './tools.mjs';

const MAXIMUM_BODY = 1024 * 1024;
const state = stateDirectory();
const {
  PORT = '0', ISSUER: issuer = 'http://127.0.0.1:9400', DATABASE, JWKS = keyPaths(state).jwks, LOG = join(state, 'ledger.log'),
} = process.env;

const keys = createLocalJWKSet(readJson(JWKS));
const database = openDatabase(DATABASE);
const mcp = createMcpHandler(() => ledgerServer(database));

const server = createServer(serve).listen(Number(PORT), '127.0.0.1', () => {
  console.log(JSON.stringify({ event: 'ready', url: `http://127.0.0.1:${server.address().port}/mcp` }));
});

async function serve(incoming, outgoing) {
  const token = /^Bearer (\S+)$/i.exec(incoming.headers.authorization ?? '')?.[1];
  const entry = { time: new Date().toISOString(), method: incoming.method, tool: null, claims: token ? claimsForLog(token) : null,
    token: token ? createHash('sha256').update(token).digest('hex').slice(0, 16) : null, verdict: 'served', status: 500 };
  try {
    const body = await readBody(incoming);
    // Parsed once: what is judged here is the very value that the SDK acts on.
    const message = body && parse(body);
    if (message?.method) entry.method = message.method;
    entry.tool = message?.method === 'tools/call' ? String(message.params?.name) : null;
    const claims = await verifyDelegationToken(token, { keys, issuer, scopes: scopesFor(message) });

    const authInfo = { token, clientId: claims.client_id, scopes: [claims.scope], expiresAt: claims.exp, extra: { claims } };
    const request = new Request(new URL(incoming.url, `http://${incoming.headers.host}`), {
      method: incoming.method, headers: headersOf(incoming), body: body || undefined,
    });
    const response = await mcp.fetch(request, { authInfo, parsedBody: message || undefined });
    entry.status = response.status;
    record(entry);
    outgoing.writeHead(response.status, Object.fromEntries(response.headers));
    for await (const chunk of response.body ?? []) outgoing.write(chunk);
    outgoing.end();
  } catch (error) {
    const refusal = error instanceof Refusal ? error : new Refusal(500, 'server_error', 'internal error');
    if (refusal !== error) console.error(error);
    if (outgoing.headersSent) return outgoing.destroy();
    record(Object.assign(entry, { verdict: `refused: ${refusal.message}`, status: refusal.status }));
    return refuse(outgoing, refusal);
  }
}

// Before the answer: who has the answer finds the line.
function record(entry) {
  appendFileSync(LOG, `${JSON.stringify(entry)}\n`);
}

// Own names only: `toString` is no tool. A batch is refused, so that one token never covers two operations.
function scopesFor(message) {
  if (Array.isArray(message)) throw new Refusal(400, 'invalid_request', 'batches are not served');
  const tool = message?.method === 'tools/call' ? message.params?.name : undefined;
  return Object.hasOwn(SCOPES, tool ?? '') ? SCOPES[tool] : CONNECT;
}

async function readBody(incoming) {
  const chunks = [];
  let length = 0;
  for await (const chunk of incoming) {
    length += chunk.length;
    if (length > MAXIMUM_BODY) throw new Refusal(413, 'invalid_request', 'body too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parse(body) {
  try {
    return JSON.parse(body);
  } catch {
    throw new Refusal(400, 'invalid_request', 'body is not JSON');
  }
}

function headersOf(incoming) {
  const headers = new Headers();
  for (let i = 0; i < incoming.rawHeaders.length; i += 2) headers.append(incoming.rawHeaders[i], incoming.rawHeaders[i + 1]);
  return headers;
}

function refuse(outgoing, { status, code, message }) {
  const challenge = status === 401 || status === 403 ? { 'www-authenticate': `Bearer error="${code}"` } : {};
  outgoing.writeHead(status, { 'content-type': 'application/json', ...challenge });
  return outgoing.end(JSON.stringify({ error: code, error_description: message }));
}
