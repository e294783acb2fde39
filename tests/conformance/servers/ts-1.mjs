// The MCP server that the conformance suite expects, on the official SDK 1.x: with sessions, and so with requests from
// server to client.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import {
  CallToolRequestSchema, CompleteRequestSchema, CreateMessageResultSchema, ElicitResultSchema, GetPromptRequestSchema,
  ListPromptsRequestSchema, ListResourceTemplatesRequestSchema, ListResourcesRequestSchema, ListToolsRequestSchema,
  ReadResourceRequestSchema, SetLevelRequestSchema, SubscribeRequestSchema, UnsubscribeRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import * as contents from './contents.mjs';
import { COMPLETION, plainObject, PROMPTS, RESOURCES, serve, string, TEMPLATE, text } from './contents.mjs';

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
  ...contents.TOOLS,
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
  test_sampling: [plainObject({ prompt: string }), async ({ prompt }, extra) => {
    const params = { messages: [{ role: 'user', content: text(prompt) }], maxTokens: 100 };
    const { content } = await ask(extra, 'sampling/createMessage', params, CreateMessageResultSchema);
    return [text(`LLM response: ${content.text}`)];
  }],
  test_elicitation: [plainObject({ message: string }), ({ message }, extra) =>
    elicit(extra, 'User response', message, plainObject({ username: string, email: string }))],
  test_elicitation_sep1034_defaults: [plainObject(), (_, extra) => elicit(extra, 'Elicitation completed', 'Defaults', DEFAULTS)],
  test_elicitation_sep1330_enums: [plainObject(), (_, extra) => elicit(extra, 'Elicitation completed', 'Enums', ENUMS)],
};

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
  on(ListResourceTemplatesRequestSchema, () => ({ resourceTemplates: [TEMPLATE] }));
  on(ReadResourceRequestSchema, ({ uri }) => {
    const [, id] = /^test:\/\/template\/([^/]+)\/data$/.exec(uri) ?? [];
    return id ? contents.readTemplate(uri, id) : contents.read(uri);
  });
  on(CompleteRequestSchema, () => COMPLETION);
  for (const schema of [SetLevelRequestSchema, SubscribeRequestSchema, UnsubscribeRequestSchema]) on(schema, () => ({}));
  return server;
}

const sessions = new Map();

async function open() {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => sessions.set(id, transport),
    onsessionclosed: (id) => sessions.delete(id),
  });
  await mcpServer().connect(transport);
  return transport;
}

serve(async (request, response) => {
  const id = request.headers['mcp-session-id'];
  if (id && !sessions.has(id)) return response.writeHead(404).end();
  await (sessions.get(id) ?? await open()).handleRequest(request, response);
});
