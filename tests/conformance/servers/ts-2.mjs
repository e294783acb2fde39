// The MCP server that the conformance suite expects, on the official SDK 2.x, of revision 2026-07-28: without sessions, so
// that what it asks of the client stands in its answers, and with streams of changes that the client listens to.
import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { serveFetch } from '../../envoy/support/fetch-server.mjs';
import * as contents from './contents.mjs';
import { COMPLETION, plainObject, PROMPTS, RESOURCES, serve, string, TEMPLATE, text } from './contents.mjs';

// The packages are the demo's.
const require = createRequire(new URL('../../../demo/package.json', import.meta.url));
const {
  acceptedContent, CLIENT_CAPABILITIES_META_KEY, createMcpHandler, createRequestStateCodec, fromJsonSchema, inputRequired,
  McpServer, ResourceTemplate,
} = require('@modelcontextprotocol/server');

const state = createRequestStateCodec({ key: randomBytes(32) });

const form = (message, properties) => inputRequired.elicit({ message, requestedSchema: plainObject(properties) });
const askName = () => form('What is your name?', { name: string });
const confirm = () => form('Please confirm', { ok: { type: 'boolean' } });
const ask = (question) => inputRequired.createMessage({ messages: [{ role: 'user', content: text(question) }], maxTokens: 100 });

/** What the client answered to the request of this key, of each kind: the form's content, the completion, the roots. */
const filled = ({ inputResponses }, key) => acceptedContent(inputResponses, key);
const completed = ({ inputResponses }, key) => inputResponses?.[key]?.content?.text;
const roots = ({ inputResponses }, key) => inputResponses?.[key]?.roots;

/** By name: `[input schema, (arguments, request) => content, or what is asked first]`. */
const TOOLS = {
  ...contents.TOOLS,
  test_tool_with_progress: [plainObject(), async (_, { notify, _meta: { progressToken } }) => {
    for (const progress of [0, 50, 100]) {
      const params = { progressToken, progress, total: 100 };
      if (progressToken !== undefined) await notify({ method: 'notifications/progress', params });
    }
    return [text('Done in three steps.')];
  }],
  test_x_mcp_header: [plainObject({ region: { type: 'string', 'x-mcp-header': 'Region' }, level: { type: 'integer' } }, []),
    ({ region }) => [text(`region=${region}`)]],
  test_missing_capability: [plainObject(), (_, request) =>
    (completed(request, 'answer') ? [text('Answered.')] : inputRequired({ inputRequests: { answer: ask('Say pong') } }))],
  test_streaming_elicitation: [plainObject(), () => [text('Nothing is asked outside the result.')]],
  test_logging_tool: [plainObject(), async (_, request) => {
    await request.log('info', 'Only for who asks for it');
    return [text('Logged.')];
  }],
  test_trigger_tool_change: [plainObject(), () => {
    handler.notify.toolsChanged();
    return [text('Listeners know.')];
  }],
  test_trigger_prompt_change: [plainObject(), () => {
    handler.notify.promptsChanged();
    return [text('Listeners know.')];
  }],
  test_input_required_result_elicitation: [plainObject(), (_, request) => {
    const { name } = filled(request, 'user_name') ?? {};
    return typeof name === 'string' ? [text(`Hello, ${name}!`)] : inputRequired({ inputRequests: { user_name: askName() } });
  }],
  test_input_required_result_sampling: [plainObject(), (_, request) => {
    const answer = completed(request, 'capital_question');
    return answer ? [text(answer)] : inputRequired({ inputRequests: { capital_question: ask('What is the capital of France?') } });
  }],
  test_input_required_result_list_roots: [plainObject(), (_, request) => {
    const given = roots(request, 'client_roots');
    return given ? [text(given.map(({ uri }) => uri).join())] : inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } });
  }],
  test_input_required_result_request_state: [plainObject(), confirmed],
  test_input_required_result_tampered_state: [plainObject(), confirmed],
  test_input_required_result_multiple_inputs: [plainObject(), async (_, request) => {
    const { name } = filled(request, 'user_name') ?? {};
    const greeting = completed(request, 'greeting');
    const given = roots(request, 'client_roots');
    if (name && greeting && given) return [text(`${greeting} ${name}, of ${given.length} roots`)];
    const inputRequests = { user_name: askName(), greeting: ask('Greet'), client_roots: inputRequired.listRoots() };
    return inputRequired({ inputRequests, requestState: await state.mint({ tool: 'multiple_inputs' }) });
  }],
  test_input_required_result_multi_round: [plainObject(), async (_, request) => {
    const { round = 0, name } = request.requestState() ?? {};
    if (round === 0) {
      return inputRequired({ inputRequests: { step1: askName() }, requestState: await state.mint({ round: 1 }) });
    }
    if (round === 1) {
      const requestState = await state.mint({ round: 2, name: filled(request, 'step1')?.name });
      return inputRequired({ inputRequests: { step2: form('What is your favorite color?', { color: string }) }, requestState });
    }
    return [text(`${name} likes ${filled(request, 'step2')?.color}.`)];
  }],
  test_input_required_result_capabilities: [plainObject(), (_, request) => {
    const { elicitation, sampling, roots: listing } = request.envelope?.[CLIENT_CAPABILITIES_META_KEY] ?? {};
    const inputRequests = {
      ...(elicitation && { user_name: askName() }),
      ...(sampling && { greeting: ask('Greet') }),
      ...(listing && { client_roots: inputRequired.listRoots() }),
    };
    const nothing = request.inputResponses || Object.keys(inputRequests).length === 0;
    return nothing ? [text('Nothing more to ask.')] : inputRequired({ inputRequests });
  }],
};

async function confirmed(_, request) {
  if (request.requestState() && filled(request, 'confirm')) return [text('state-ok')];
  return inputRequired({ inputRequests: { confirm: confirm() }, requestState: await state.mint({ tool: 'confirmed' }) });
}

function mcpServer() {
  const listChanged = true;
  const capabilities = { tools: { listChanged }, prompts: { listChanged }, resources: { listChanged, subscribe: true }, completions: {} };
  const options = { capabilities, requestState: { verify: state.verify } };
  const server = new McpServer({ name: 'conformance', version: '1.0.0' }, options);
  for (const [name, [schema, answer]] of Object.entries(TOOLS)) {
    const tool = { description: `The suite's ${name}`, inputSchema: fromJsonSchema(schema) };
    server.registerTool(name, tool, async (given, { mcpReq }) => {
      const answered = await answer(given, mcpReq);
      return Array.isArray(answered) ? { content: answered } : answered;
    });
  }
  for (const [name, [given, answer]] of Object.entries(PROMPTS)) {
    const argsSchema = fromJsonSchema(plainObject(Object.fromEntries(given.map((argument) => [argument.name, string]))));
    server.registerPrompt(name, { description: `The suite's ${name}`, argsSchema }, (args) => ({ messages: answer(args) }));
  }
  server.registerPrompt('test_input_required_result_prompt', { description: 'Asks first' }, ({ mcpReq }) => {
    const { context } = filled(mcpReq, 'user_context') ?? {};
    return context ? { messages: [{ role: 'user', content: text(context) }] }
      : inputRequired({ inputRequests: { user_context: form('In which context?', { context: string }) } });
  });
  for (const [uri, { mimeType }] of Object.entries(RESOURCES)) {
    server.registerResource(uri, uri, { description: `The suite's ${uri}`, mimeType }, () => contents.read(uri));
  }
  const { name, uriTemplate, mimeType } = TEMPLATE;
  server.registerResource(name, new ResourceTemplate(uriTemplate, { list: undefined }), { mimeType },
    (uri, { id }) => contents.readTemplate(uri.href, id));
  server.server.setRequestHandler('completion/complete', () => COMPLETION);
  return server;
}

const handler = createMcpHandler(mcpServer);
serve((request, response) => serveFetch(handler.fetch, request, response));
