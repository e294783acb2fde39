// An MCP server on the official SDK (1.32) whose tools make tasks. It gives any of them to whoever knows its id.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

// The packages are the demo's.
const require = createRequire(new URL('../../../demo/package.json', import.meta.url));
const { McpServer } = require('@modelcontextprotocol/sdk/server/mcp.js');
const { StreamableHTTPServerTransport } = require('@modelcontextprotocol/sdk/server/streamableHttp.js');
const { InMemoryTaskMessageQueue, InMemoryTaskStore } = require('@modelcontextprotocol/sdk/experimental/tasks/stores/in-memory.js');

/** `taskServer.json`, each test's to set: whether it answers in JSON, or in a stream of events. */
export async function startTaskServer() {
  const store = new InMemoryTaskStore();
  const requests = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    requests.push({ text, headers: request.headers });
    const transport = new StreamableHTTPServerTransport({ enableJsonResponse: taskServer.json });
    await tools(store).connect(transport);
    response.on('close', () => transport.close());
    await transport.handleRequest(request, response, text ? JSON.parse(text) : undefined);
  });
  server.listen(0, '127.0.0.1');
  await new Promise((listening) => server.once('listening', listening));
  const taskServer = {
    address: `127.0.0.1:${server.address().port}`,
    json: false,
    requests,
    get ids() { return store.getAllTasks().map(({ taskId }) => taskId); },
    stop() {
      store.cleanup();
      server.closeAllConnections();
      return new Promise((closed) => server.close(closed));
    },
  };
  return taskServer;
}

function tools(taskStore) {
  const capabilities = { tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } } };
  const server = new McpServer({ name: 'tasks', version: '1.0.0' }, { capabilities, taskStore, taskMessageQueue: new InMemoryTaskMessageQueue() });
  const tool = (name, result) => server.experimental.tasks.registerToolTask(name, {}, {
    async createTask({ taskStore: tasks, taskRequestedTtl: ttl }) {
      const task = await tasks.createTask({ ttl, pollInterval: 50 });
      if (result) await taskStore.storeTaskResult(task.taskId, 'completed', { content: [{ type: 'text', text: result }] });
      return { task };
    },
    getTask: ({ taskId, taskStore: tasks }) => tasks.getTask(taskId),
    getTaskResult: ({ taskId, taskStore: tasks }) => tasks.getTaskResult(taskId),
  });
  tool('listAccounts', 'two accounts');
  tool('getCustomerPII', '123-45-6789');
  tool('getAccount'); // never ends
  return server;
}
