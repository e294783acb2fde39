// The load on a real Envoy: tool calls, those who send them, and the processor time that they cost.
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';

export const run = promisify(execFile);
const here = (name) => new URL(name, import.meta.url).pathname;
// The load ends with this program.
const abort = new AbortController();
process.on('exit', () => abort.abort());

/** `wrk`, or where there is none, `node`. */
export const findGenerator = () => run('wrk', ['--version']).then(() => 'wrk', (error) => (error.code === 'ENOENT' ? 'node' : 'wrk'));

/** A call of this tool with this token, as it is sent. */
export function toolCall(token, name) {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: {} } });
  return ['POST /mcp HTTP/1.1', 'host: gateway', 'content-type: application/json', 'accept: application/json, text/event-stream',
    'mcp-protocol-version: 2025-11-25', `authorization: Bearer ${token}`, `content-length: ${body.length}`, '', body].join('\r\n');
}

/** Writes the requests that a load sends in turn. */
export function writeRequests(file, requests) {
  writeFileSync(file, requests.map((request) => `${request.length}\n${request}`).join(''));
}

/** By `wrk`, `node`, or `http2`: `{ requests, seconds, refused, failed, p50_ms, p99_ms }`, of `node` without the last two. */
export async function load(generator, { port, seconds, connections, file }) {
  const { stdout } = generator === 'wrk'
    ? await run('wrk', ['-t1', `-c${connections}`, `-d${seconds}s`, '-s', here('load.lua'), `http://127.0.0.1:${port}/mcp`, '--', file], abort)
    : await run(process.execPath, [here(generator === 'http2' ? 'load-http2.mjs' : 'load.mjs'), port, seconds, connections, file].map(String), abort);
  return JSON.parse(stdout.trim().split('\n').at(-1));
}

/** In ms, of all threads of a process, to the nanosecond (Documentation/scheduler/sched-stats). */
export function processorTime(pid) {
  const threads = readdirSync(`/proc/${pid}/task`);
  return threads.reduce((sum, thread) => sum + Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]), 0) / 1e6;
}
