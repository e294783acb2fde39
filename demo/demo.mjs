// The story of Deputy, walked against the whole stack; each step is checked. Run by `make demo`.
import assert from 'node:assert/strict';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { SignedInClient } from './client/client.mjs';
import { LEDGER } from './enterprise-ledger/delegation-token.mjs';
import { GATEWAY } from './keys.mjs';
import { dim, quote, step, table, title } from './narrator.mjs';
import { JOHN, SARAH } from './people.mjs';
import { until } from './process.mjs';
import { startStack } from './stack.mjs';

const REFUSAL = 'Access denied: PII access requires pii:read scope.';

title('Deputy: every tool call under a token for that call alone');
let stack;
try {
  stack = await startStack();
  console.log(dim(`gateway ${stack.gatewayUrl}   authorization server ${stack.authorizationServerUrl}   ledger ${stack.ledgerUrl}\n`));
  await tellStory(stack);
  title('All as told.');
} catch (error) {
  console.error(`\nNot as told: ${error.message}`);
  if (stack) console.error(`Logs: ${stack.directory}/logs`);
  process.exitCode = 1;
} finally {
  await stack?.stop();
}

async function tellStory({ gatewayUrl, authorizationServerUrl }) {
  await step('A client without a token is told where to get one.', async (show) => {
    const refused = await fetch(gatewayUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }),
    });
    const challenge = refused.headers.get('www-authenticate');
    show(`${refused.status} WWW-Authenticate: ${challenge}`);
    assert.equal(refused.status, 401, 'a request without a token gets 401');

    const [, metadataUrl] = /resource_metadata="([^"]+)"/.exec(challenge);
    const resource = await (await fetch(metadataUrl)).json();
    show(`protected resource   ${resource.resource}, authorization server ${resource.authorization_servers}`);
    assert.equal(resource.resource, gatewayUrl, 'the RFC 9728 document names the gateway');
    assert.deepEqual(resource.authorization_servers, [authorizationServerUrl]);

    const server = await (await fetch(`${resource.authorization_servers[0]}/.well-known/oauth-authorization-server`)).json();
    show(`authorization server ${server.issuer}, sign-in at ${server.authorization_endpoint}`);
    assert.equal(server.issuer, authorizationServerUrl, 'the RFC 8414 document is the authorization server\'s own');
  });

  const sarahsSteps = [];
  const sarah = await step('Sarah signs in, with PKCE, for no more than the challenge asks.', async (show) => {
    const client = await SignedInClient.connect(gatewayUrl, SARAH, (event) => sarahsSteps.push(event));
    const request = sarahsSteps.find((event) => event.step === 'authorization request');
    const token = sarahsSteps.find((event) => event.step === 'token');
    show(`asked for ${request.scope} (PKCE ${request.challengeMethod}, resource ${request.resource})`);
    show(`granted   ${token.scope}, for ${token.expiresIn} s`);
    assert.deepEqual([request.scope, request.challengeMethod, request.resource, token.scope], ['mcp:connect', 'S256', gatewayUrl, 'mcp:connect']);
    return client;
  });

  await step('She lists the tools.', async (show) => {
    const names = (await sarah.listTools()).tools.map((tool) => tool.name);
    show(names.join(', '));
    for (const name of ['listAccounts', 'getAccount', 'getTransactions', 'updateAccountStatus']) assert.ok(names.includes(name), `${name} is listed`);
  });

  await step('She calls listAccounts. Her token stays at the gateway; the ledger gets one for this call alone.', async (show) => {
    const result = await sarah.callTool('listAccounts');
    assert.equal(result.structuredContent.accounts.length, 5, 'the ledger answered with its five accounts');
    const inbound = decodeJwt(sarah.accessToken);
    const request = stack.ledgerRequests().findLast(({ tool }) => tool === 'listAccounts');
    const delegation = request.claims;
    show(claimsTable(inbound, delegation));
    show(dim(`right: from the ledger's own log; inbound alg ${decodeProtectedHeader(sarah.accessToken).alg}`));
    assert.equal(request.verdict, 'served');
    assert.equal(delegation.sub, SARAH.user, 'the delegation token names the user');
    assert.deepEqual(delegation.act, { sub: GATEWAY }, 'and the gateway as actor');
    assert.deepEqual([delegation.aud, delegation.scope], [LEDGER, 'ledger:ListAccounts'], 'and one audience, one scope');
    assert.ok(delegation.exp - delegation.iat <= 5, 'and lives five seconds');
    assert.notEqual(delegation.jti, inbound.jti);
  });

  await step('John asks for customer data that he may not see.', async (show) => {
    const events = [];
    const john = await SignedInClient.connect(gatewayUrl, JOHN, (event) => events.push(event));
    events.length = 0;
    // The client asks for pii:read as the challenge says, but John gets no such scope, so it is refused again and gives up.
    const error = await john.callTool('getCustomerPII', { customerId: 'CUST-001' }).catch((cause) => cause);
    const refusals = events.filter((event) => event.step === 'refused');
    const granted = events.filter((event) => event.step === 'token').at(-1);
    show(`${refusals[0]?.status} ${quote(refusals[0]?.message)}`);
    show(`asked to sign in for it, he is granted ${granted?.scope} again, and refused again`);
    show('the ledger never heard of the call');
    assert.ok(error instanceof Error, 'the call is refused');
    assert.equal(refusals.length, 2);
    for (const refusal of refusals) assert.deepEqual([refusal.status, refusal.message], [403, REFUSAL]);
    assert.equal(granted?.scope, 'mcp:connect');
    assert.ok(!stack.ledgerRequests().some(({ tool }) => tool === 'getCustomerPII'), 'the ledger\'s log has no such call');
    await john.close();
  });

  await step('Sarah asks for the same, is challenged, steps up, and gets it.', async (show) => {
    sarahsSteps.length = 0;
    const result = await sarah.callTool('getCustomerPII', { customerId: 'CUST-001' });
    const [refused, request, token] = ['refused', 'authorization request', 'token'].map((name) => sarahsSteps.find((event) => event.step === name));
    show(`${refused.status} ${refused.challenge}`);
    show(`asked for ${request.scope}, granted ${token.scope}`);
    show(`then: ${result.structuredContent.name}, born ${result.structuredContent.date_of_birth}`);
    assert.equal(refused.status, 403);
    assert.match(refused.challenge, /error="insufficient_scope"/);
    assert.match(refused.challenge, /scope="mcp:connect pii:read"/, 'the challenge asks for what she has and what she needs');
    assert.deepEqual([request.scope, token.scope], ['mcp:connect pii:read', 'mcp:connect pii:read']);
    assert.equal(result.structuredContent.id, 'CUST-001');
  });
  await sarah.close();

  await step('The audit trail has the whole chain: who, through which client, what, why, under which tokens.', async (show) => {
    const forwarded = (records) => records.filter(({ delegation }) => delegation).length;
    const complete = () => {
      const records = stack.auditRecords().filter(({ subject }) => subject);
      return forwarded(records) === stack.ledgerRequests().length && records;
    };
    // Both logs are written a moment after the client has its answer.
    const records = await until(complete, 'as many forwarded requests in the audit trail as in the ledger\'s log', { seconds: 5 });
    show(auditTable(records));

    const minted = new Set(records.flatMap(({ delegation }) => delegation?.token_id ?? []));
    const presented = stack.ledgerRequests();
    for (const { claims, method } of presented) {
      assert.ok(claims && minted.has(claims.jti), `the ledger's ${method} was under a token that the audit trail names`);
    }
    for (const record of records.filter(({ decision, tool }) => decision === 'allow' && tool)) {
      assert.ok(presented.some(({ claims, tool }) => claims.jti === record.delegation.token_id && tool === record.tool),
        `the ledger's log has the ${record.tool} of the audit trail`);
    }
    assert.equal(records.filter(({ decision, tool }) => decision === 'deny' && tool === 'getCustomerPII').length, 3, 'three refusals are on record');
    show(`${presented.length} requests at the ledger, each under a delegation token of this trail; tokens never appear, only their ids.`);
  });
}

function claimsTable(inbound, delegation) {
  const row = (name, read) => [name, read(inbound), read(delegation)];
  return table(['claim', 'inbound token', 'delegation token'], [
    row('sub', ({ sub }) => sub),
    row('act.sub', ({ act }) => act?.sub),
    row('client_id', ({ client_id }) => client_id),
    row('aud', ({ aud }) => aud),
    row('scope', ({ scope }) => scope),
    row('lifetime', ({ iat, exp }) => `${exp - iat} s`),
    row('jti', ({ jti }) => jti),
    row('iss', ({ iss }) => iss),
  ]);
}

function auditTable(records) {
  const short = (id) => id?.slice(0, 6);
  const rows = records.map(({ subject, client, http_method, method, tool, decision, rule, token_id: inbound, delegation, status }) => [
    subject.split('@')[0], client, tool ?? method ?? http_method, decision, rule,
    delegation ? `${short(inbound)} → ${short(delegation.token_id)}` : short(inbound),
    delegation?.scope, delegation && `${delegation.lifetime_s} s`, status,
  ]);
  return table(['who', 'client', 'operation', 'decision', 'rule', 'tokens', 'scope', 'life', 'status'], rows);
}
