// What a server of the oracle says of itself: JSON lines on stdout.
import { createRequire } from 'node:module';

// The packages are the demo's.
export const require = createRequire(new URL('../../../demo/package.json', import.meta.url));

export const TOOLS = ['greet', 'secret_tool'].map((name) => ({ name, inputSchema: { type: 'object' } }));

/** To be called where the SDK hands over what it is about to do. `header` reads a header of the HTTP request. */
export function executed(header, { method, params }) {
  const call = method === 'tools/call' ? { tool: params.name, arguments: params.arguments } : {};
  console.log(JSON.stringify({ event: 'executed', input: header('x-oracle'), request: header('x-request-id'), method, ...call }));
}

export function listen(server) {
  server.keepAliveTimeout = 75_000; // longer than Envoy keeps an idle connection to us
  server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ event: 'ready', address: `127.0.0.1:${server.address().port}` })));
}
