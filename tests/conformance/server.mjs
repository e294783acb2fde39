// The MCP server that the conformance suite expects (its tools, prompts and resources by name), on the official SDK,
// with sessions, and so with requests from server to client.
//
//   PORT    0 for a free one
//   stdout: {"event":"ready","url":...}
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import {
  CallToolRequestSchema, CompleteRequestSchema, CreateMessageResultSchema, ElicitResultSchema, GetPromptRequestSchema,
  ListPromptsRequestSchema, ListResourceTemplatesRequestSchema, ListResourcesRequestSchema, ListToolsRequestSchema,
  ReadResourceRequestSchema, SetLevelRequestSchema, SubscribeRequestSchema, UnsubscribeRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
const WAV = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=';

const text = (value) => ({ type: 'text', text: value });
const image = { type: 'image', data: PNG, mimeType: 'image/png' };
const resource = (uri, mimeType, value) => ({ type: 'resource', resource: { uri, mimeType, text: value } });
const plainObject = (properties = {}, required = Object.keys(properties)) => ({ type: 'object', properties, required });
const string = { type: 'string' };

const DEFAULTS = plainObject({
  name: { type: 'string', default: 'John Doe' },
  age: { type: 'integer', default: 30 },
  score: { type: 'number', default: 95.5 },
  status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
  verified: { type: 'boolean', default: true },
}, []);

const titled = (...names) => names.map((name, index) => ({ const: `value${index + 1}`, title: name }));
const options = ['option1', 'option2', 'option3'];
const ENUMS = plainObject({
  untitledSingle: { type: 'string', enum: options },
  titledSingle: { type: 'string', oneOf: titled('First Option', 'Second Option', 'Third Option') },
  legacyEnum: { type: 'string', enum: ['opt1', 'opt2', 'opt3'], enumNames: ['Option One', 'Option Two', 'Option Three'] },
  untitledMulti: { type: 'array', items: { type: 'string', enum: options } },
  titledMulti: { type: 'array', items: { anyOf: titled('First Choice', 'Second Choice', 'Third Choice') } },
}, []);

// An answer that does not come back must not hold the suite up.
const ask = (extra, method, params, schema) => extra.sendRequest({ method, params }, schema, { timeout: 1000 });

const elicit = async (extra, label, message, requestedSchema) => {
  const { action, content } = await ask(extra, 'elicitation/create', { message, requestedSchema }, ElicitResultSchema);
  return [text(`${label}: action=${action}, content=${JSON.stringify(content ?? {})}`)];
};

/** By name: `[input schema, (arguments, extra) => content]`. */
const TOOLS = {
  test_simple_text: [plainObject(), () => [text('This is a simple text response for testing.')]],
  test_image_content: [plainObject(), () => [image]],
  test_audio_content: [plainObject(), () => [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }]],
  test_embedded_resource: [plainObject(), () => [
    resource('test://embedded-resource', 'text/plain', 'This is an embedded resource content.')]],
  test_multiple_content_types: [plainObject(), () => [text('Multiple content types test:'), image,
    resource('test://mixed-content-resource', 'application/json', JSON.stringify({ test: 'data', value: 123 }))]],
  test_tool_with_logging: [plainObject(), async (_, { sendNotification }) => {
    for (const data of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
      await sendNotification({ method: 'notifications/message', params: { level: 'info', data } });
      await sleep(50);
    }
    return [text('Logged three times.')];
  }],
  test_tool_with_progress: [plainObject(), async (_, { sendNotification, _meta }) => {
    for (const progress of [0, 50, 100]) {
      const params = { progressToken: _meta?.progressToken, progress, total: 100 };
      if (params.progressToken !== undefined) await sendNotification({ method: 'notifications/progress', params });
      await sleep(50);
    }
    return [text('Done in three steps.')];
  }],
  test_error_handling: [plainObject(), () => { throw new Error('This tool intentionally returns an error for testing'); }],
  test_sampling: [plainObject({ prompt: string }), async ({ prompt }, extra) => {
    const params = { messages: [{ role: 'user', content: text(prompt) }], maxTokens: 100 };
    const { content } = await ask(extra, 'sampling/createMessage', params, CreateMessageResultSchema);
    return [text(`LLM response: ${content.text}`)];
  }],
  test_elicitation: [plainObject({ message: string }), ({ message }, extra) =>
    elicit(extra, 'User response', message, plainObject({ username: string, email: string }))],
  test_elicitation_sep1034_defaults: [plainObject(), (_, extra) => elicit(extra, 'Elicitation completed', 'Defaults', DEFAULTS)],
  test_elicitation_sep1330_enums: [plainObject(), (_, extra) => elicit(extra, 'Elicitation completed', 'Enums', ENUMS)],
  test_reconnection: [plainObject(), () => [text('Nothing to reconnect to.')]],
  json_schema_2020_12_tool: [{
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $defs: { address: { type: 'object', properties: { street: string, city: string } } },
    type: 'object',
    properties: { name: string, address: { $ref: '#/$defs/address' } },
    additionalProperties: false,
  }, () => [text('Accepted.')]],
};

const argument = (name) => ({ name, required: true });
const user = (...contents) => contents.map((content) => ({ role: 'user', content }));

/** By name: `[arguments, (arguments) => messages]`. */
const PROMPTS = {
  test_simple_prompt: [[], () => user(text('This is a simple prompt for testing.'))],
  test_prompt_with_arguments: [[argument('arg1'), argument('arg2')], ({ arg1, arg2 }) =>
    user(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`))],
  test_prompt_with_embedded_resource: [[argument('resourceUri')], ({ resourceUri }) => user(
    resource(resourceUri, 'text/plain', 'Embedded resource content for testing.'),
    text('Please process the embedded resource above.'))],
  test_prompt_with_image: [[], () => user(image, text('Please analyze the image above.'))],
};

const RESOURCES = {
  'test://static-text': { mimeType: 'text/plain', text: 'This is the content of the static text resource.' },
  'test://static-binary': { mimeType: 'image/png', blob: PNG },
  'test://watched-resource': { mimeType: 'text/plain', text: 'Watched.' },
};

function read(uri) {
  const [, id] = /^test:\/\/template\/([^/]+)\/data$/.exec(uri) ?? [];
  const data = { id, templateTest: true, data: `Data for ID: ${id}` };
  const content = id ? { mimeType: 'application/json', text: JSON.stringify(data) } : RESOURCES[uri];
  if (!content) throw new Error(`no resource ${uri}`);
  return { contents: [{ uri, ...content }] };
}

function mcpServer() {
  const capabilities = { tools: {}, prompts: {}, resources: { subscribe: true }, logging: {}, completions: {} };
  const server = new Server({ name: 'conformance', version: '1.0.0' }, { capabilities });
  const on = (schema, answer) => server.setRequestHandler(schema, ({ params }, extra) => answer(params, extra));
  on(ListToolsRequestSchema, () => ({
    tools: Object.entries(TOOLS).map(([name, [inputSchema]]) => ({ name, description: `The suite's ${name}`, inputSchema })),
  }));
  on(CallToolRequestSchema, async ({ name, arguments: given = {} }, extra) => {
    try {
      return { content: await TOOLS[name][1](given, extra) };
    } catch (error) {
      return { isError: true, content: [text(error.message)] };
    }
  });
  on(ListPromptsRequestSchema, () => ({
    prompts: Object.entries(PROMPTS).map(([name, [given]]) => ({ name, description: `The suite's ${name}`, arguments: given })),
  }));
  on(GetPromptRequestSchema, ({ name, arguments: given = {} }) => ({ messages: PROMPTS[name][1](given) }));
  on(ListResourcesRequestSchema, () => ({
    resources: Object.entries(RESOURCES).map(([uri, { mimeType }]) => ({ uri, name: uri, description: `The suite's ${uri}`, mimeType })),
  }));
  on(ListResourceTemplatesRequestSchema, () => ({
    resourceTemplates: [{ uriTemplate: 'test://template/{id}/data', name: 'template', mimeType: 'application/json' }],
  }));
  on(ReadResourceRequestSchema, ({ uri }) => read(uri));
  on(CompleteRequestSchema, () => ({ completion: { values: [], total: 0, hasMore: false } }));
  for (const schema of [SetLevelRequestSchema, SubscribeRequestSchema, UnsubscribeRequestSchema]) on(schema, () => ({}));
  return server;
}

const sessions = new Map();

async function transportFor(request) {
  const known = sessions.get(request.headers['mcp-session-id']);
  if (known) return known;
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => sessions.set(id, transport),
    onsessionclosed: (id) => sessions.delete(id),
  });
  await mcpServer().connect(transport);
  return transport;
}

/** DNS rebinding: a page of another name that resolves to this machine. */
function isLocal({ headers: { host, origin } }) {
  const local = (url) => ['localhost', '127.0.0.1', '[::1]'].includes(URL.parse(url)?.hostname);
  return local(`http://${host}`) && (origin === undefined || local(origin));
}

const http = createServer(async (request, response) => {
  if (!isLocal(request)) return response.writeHead(403).end();
  await (await transportFor(request)).handleRequest(request, response);
});
http.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  console.log(JSON.stringify({ event: 'ready', url: `http://127.0.0.1:${http.address().port}/mcp` }));
});
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0));
