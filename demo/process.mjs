// Starting and stopping the processes of the demo: by process id, never by name.
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const children = new Set();
// Whatever ends this process, none of its children outlives it.
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')));

/**
 * Starts `command`. Its output goes to the file `log`; `onLine` sees each line of stdout.
 * Returns `{ pid, exited, stop() }`; `exited` resolves to what became of it.
 */
export function startProcess(command, args, { env = {}, log, onLine = () => {} } = {}) {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  children.add(child);
  const file = createWriteStream(log, { flags: 'a' });
  child.stderr.pipe(file, { end: false });
  createInterface({ input: child.stdout }).on('line', (line) => {
    file.write(`${line}\n`);
    onLine(line);
  });
  const exited = new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`));
  }).then((result) => {
    children.delete(child);
    file.end();
    return result;
  });
  const stop = async () => {
    if (!children.has(child)) return;
    child.kill('SIGTERM');
    const kill = setTimeout(() => child.kill('SIGKILL'), 5000);
    await exited;
    clearTimeout(kill);
  };
  return { pid: child.pid, exited, stop };
}

/** Starts one of our own servers and waits for its ready line; adds `url` and `events` (its other JSON lines). */
export async function startServer(script, { env, log }) {
  const events = [];
  let ready;
  const url = new Promise((resolve) => { ready = resolve; });
  const onLine = (line) => {
    const event = parseEvent(line);
    if (event?.event === 'ready') ready(event.url);
    else if (event) events.push(event);
  };
  const server = startProcess(process.execPath, ['--disable-warning=ExperimentalWarning', script], { env, log, onLine });
  const failed = server.exited.then((result) => { throw new Error(`${script} ended with ${result}; see ${log}`); });
  failed.catch(() => {});
  return { ...server, events, url: await Promise.race([url, failed]) };
}

function parseEvent(line) {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((listening) => server.once('listening', listening));
  const { port } = server.address();
  await new Promise((closed) => server.close(closed));
  return port;
}

/** Waits until `check` returns something true; an error counts as not yet. */
export async function until(check, what, { seconds = 15, unless } = {}) {
  const end = Date.now() + seconds * 1000;
  let cause;
  let failure;
  unless?.then((result) => { failure = result; });
  while (Date.now() < end) {
    try {
      const result = await check();
      if (result) return result;
    } catch (error) {
      cause = error;
    }
    if (failure) throw new Error(`${what}: the process ended with ${failure}`);
    await sleep(50);
  }
  throw new Error(`${what}: not within ${seconds} s`, { cause });
}
