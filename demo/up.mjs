// Keeps the stack running in the background, on ports that are easy to remember. Run by `make up`; `make down` stops it.
//   GATEWAY_PORT, ADMIN_PORT, AUTHORIZATION_SERVER_PORT, LEDGER_PORT   other ports than in ports.mjs
import { spawn } from 'node:child_process';
import { mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { background, runningStack } from './background.mjs';
import { JOHN, SARAH } from './people.mjs';
import { friendlyPorts as ports } from './ports.mjs';
import { until } from './process.mjs';

const { directory, pidFile, readyFile, errorFile } = background;

const running = runningStack();
if (running) {
  console.log(`The stack is up already (process ${running}); \`make down\` stops it.`);
} else {
  mkdirSync(directory, { recursive: true });
  rmSync(readyFile, { force: true });
  const env = {
    ...process.env,
    DIRECTORY: directory,
    GATEWAY_PORT: ports.gateway,
    ADMIN_PORT: ports.admin,
    AUTHORIZATION_SERVER_PORT: ports.authorizationServer,
    LEDGER_PORT: ports.ledger,
  };
  const stack = spawn(process.execPath, [fileURLToPath(new URL('stack.mjs', import.meta.url))], {
    env, detached: true, stdio: ['ignore', openSync(readyFile, 'w'), openSync(errorFile, 'w')],
  });
  writeFileSync(pidFile, `${stack.pid}\n`);
  const ended = new Promise((resolve) => { stack.once('exit', (code) => resolve(`exit code ${code}`)); });
  try {
    await until(() => JSON.parse(readFileSync(readyFile, 'utf8')), 'the stack', { seconds: 60, unless: ended });
  } catch (error) {
    stack.kill('SIGTERM');
    rmSync(pidFile, { force: true });
    console.error(`${error.message}\n${readFileSync(errorFile, 'utf8')}`);
    process.exit(1);
  }
  stack.unref();
}

const { gatewayUrl, authorizationServerUrl, logs } = JSON.parse(readFileSync(readyFile, 'utf8'));
console.log(`
gateway               ${gatewayUrl}
authorization server  ${authorizationServerUrl}
audit records         grep deputy.audit ${logs.envoy}

  claude mcp add --transport http enterprise-ledger ${gatewayUrl}

${[SARAH, JOHN].map(({ user, password }) => `${user}  password ${password}`).join('\n')}
`);
