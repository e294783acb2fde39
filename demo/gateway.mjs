// The gateway: configuration rendered by `deputy`, served by Envoy. The one place that knows how either is called.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { root, writeAtomically } from './keys.mjs';
import { startProcess, until } from './process.mjs';

export const {
  DEPUTY = join(root, 'target/debug/deputy'),
  DEPUTY_CONFIG = join(root, 'deputy.yaml'),
  DEPUTY_WASM = join(root, 'dist/deputy.wasm'),
  ENVOY = join(root, 'target/tools/venv/bin/envoy'),
} = process.env;

/** The first file that is not there yet, if any. */
const missingForGateway = () => [DEPUTY, DEPUTY_WASM, ENVOY].find((path) => !existsSync(path));

/**
 * `place`: `{ directory, keys, ports: { gateway, admin }, resource, issuer, authorizationServer, ledger, log }`;
 * `authorizationServer` and `ledger` are host:port. `config` and `set` change what is rendered; `edit`,
 * by file name, what is made of the text: `{ 'filter.yaml': (text) => text }`; `env` adds to Envoy's environment and `args` to its
 * arguments; `workers` is how many it has; `hotRestart`, its arguments by which another can take over.
 */
export async function startGateway(place, { config, set, edit, env, workers = 2, args = [], hotRestart = ['--disable-hot-restart'] } = {}) {
  const missing = missingForGateway();
  if (missing) throw new Error(`${missing} is missing; \`make init build\` makes it`);
  const directory = join(place.directory, 'gateway');
  await renderGateway(directory, place, { config, set, edit });

  const start = (more) => startProcess(ENVOY, ['-c', join(directory, 'envoy.yaml'), '--concurrency', String(workers), ...more,
    '--log-level', 'warning', '--component-log-level', 'wasm:info', ...args], { env, log: place.log });
  let envoy = start(hotRestart);
  const adminUrl = `http://127.0.0.1:${place.ports.admin}`;
  const get = async (path) => {
    const response = await fetch(adminUrl + path);
    return { ok: response.ok, text: await response.text() };
  };
  const ready = async () => (await get('/ready')).ok;
  try {
    await until(ready, 'Envoy', { seconds: 30, unless: envoy.exited });
  } catch (error) {
    await envoy.stop();
    throw new Error(`${error.message}; the end of ${place.log}:\n${readFileSync(place.log, 'utf8').slice(-1000)}`);
  }
  return {
    get pid() { return envoy.pid; },
    stop: () => envoy.stop(),
    adminUrl,
    directory,
    /** Starts another Envoy with these arguments of a hot restart. Gives the old one, which ends by itself. */
    replace(more) {
      const old = envoy;
      envoy = start(more);
      return old;
    },
    /** Runs `deputy push`, with these `options`: `{ code, stderr }`. */
    push({ config: pushed = config, set: more, options = ['--admin', adminUrl] } = {}) {
      return deputy(['push', directory, ...options], directory, place, { config: pushed, set: { ...set, ...more } });
    },
    /** Runs another command of `deputy` on the same configuration: `{ code, stdout, stderr }`. */
    command: (command) => deputy(command, directory, place, { config, set }),
    /** Renders again; the new filter configuration is swapped in by rename. Tells what Envoy made of it. */
    async reconfigure(changes = {}) {
      const filter = () => readFileSync(join(directory, 'filter.yaml'), 'utf8');
      const [before, old] = [await discoveryCounters(get), filter()];
      await renderGateway(directory, place, {
        config: changes.config ?? config, set: { ...set, ...changes.set }, edit: changes.edit ?? edit,
      });
      if (filter() === old) return 'unchanged';
      return until(async () => {
        const now = await discoveryCounters(get);
        if (now.rejected > before.rejected) return 'rejected';
        return now.accepted > before.accepted && 'accepted';
      }, 'the new configuration');
    },
  };
}

/** Writes `envoy.yaml` and `filter.yaml` into `directory`: rendered and edited beside it, then moved into place. */
export async function renderGateway(directory, place, { config, set, edit = {} } = {}) {
  const rendered = join(directory, 'rendered');
  mkdirSync(rendered, { recursive: true });
  const { code, stderr } = await deputy(['render', '--out', rendered], directory, place, { config, set });
  if (code !== 0) throw new Error(`deputy render: ${stderr}`);
  for (const name of ['envoy.yaml', 'filter.yaml']) {
    const text = readFileSync(join(rendered, name), 'utf8');
    writeAtomically(join(directory, name), edit[name]?.(text) ?? text);
  }
}

/** Runs a command of `deputy` on the configuration as it is at this `place`: `{ code, stdout, stderr }`. */
async function deputy(command, directory, place, { config = DEPUTY_CONFIG, set = {} }) {
  const settings = {
    'protected_resource.resource': place.resource,
    'protected_resource.authorization_servers[0]': place.issuer,
    'issuers[0].issuer': place.issuer,
    'issuers[0].jwks_file': place.keys.jwks,
    'exchange.issuer': place.issuer,
    'exchange.authority': place.authorizationServer,
    'envoy.listen': `127.0.0.1:${place.ports.gateway}`,
    'envoy.admin': `127.0.0.1:${place.ports.admin}`,
    'envoy.wasm': DEPUTY_WASM,
    'envoy.filter': join(directory, 'filter.yaml'),
    'envoy.secret': place.keys.gatewaySecret,
    'envoy.clusters.authorization_server': place.authorizationServer,
    'envoy.clusters.enterprise_ledger': place.ledger,
    ...set,
  };
  const args = Object.entries(settings).flatMap(([path, value]) => ['--set', `${path}=${value}`]);
  try {
    const { stdout, stderr } = await promisify(execFile)(DEPUTY, [...command, '--config', config, ...args], { cwd: root });
    return { code: 0, stdout, stderr };
  } catch (error) {
    return { code: error.code, stdout: error.stdout, stderr: error.stderr || error.message };
  }
}

async function discoveryCounters(get) {
  const { text } = await get('/stats?filter=extension_config_discovery');
  const sum = (name) => [...text.matchAll(new RegExp(`\\.${name}: (\\d+)`, 'g'))].reduce((total, [, count]) => total + Number(count), 0);
  return { accepted: sum('config_reload'), rejected: sum('config_fail') + sum('update_rejected') };
}
