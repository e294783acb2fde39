// What a stack leaves to see: audit records, logs and statistics.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../../../demo/process.mjs';

/** The audit records of the transactions under an inbound token, or under one of several, once there are `count`. */
export const auditOf = (stack, ids, count = 1) => until(() => {
  const records = stack.auditRecords().filter((record) => [ids].flat().includes(record.token_id));
  return records.length >= count && records;
}, 'the audit record');

export const envoyLog = (stack) => readFileSync(stack.logs.envoy, 'utf8');

/** All that an operator gets to read: `[place, text]` of logs, configuration and Envoy's admin interface. */
export async function readablePlaces(stack) {
  const admin = async (path) => [`admin ${path}`, await (await fetch(stack.adminUrl + path)).text()];
  const file = (path) => [path, readFileSync(path, 'utf8')];
  return [
    ...Object.values(stack.logs).map(file),
    ...['envoy.yaml', 'filter.yaml'].map((name) => file(join(stack.directory, 'gateway', name))),
    ...await Promise.all(['/config_dump?include_eds', '/stats', '/clusters', '/server_info'].map(admin)),
  ];
}

export const logged = (stack, pattern) => until(() => pattern.test(envoyLog(stack)), `${pattern} in Envoy's log`);

const accessLog = (stack) => envoyLog(stack).split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : []));

/** The access log, once it has this request: Envoy writes it every ten seconds. */
export const accessLogged = (stack, requestId) => until(() => {
  const lines = accessLog(stack);
  return lines.some(({ request_id: id }) => id === requestId) && lines;
}, 'the access log', { seconds: 40 });

/** The sum of the statistics of this exact end. */
export async function statistic(stack, name) {
  const text = await (await fetch(`${stack.adminUrl}/stats?filter=${name}$`)).text();
  return [...text.matchAll(/: (\d+)$/gm)].reduce((sum, [, value]) => sum + Number(value), 0);
}

/** Nothing waits in Envoy any more, neither a client nor an exchange. */
export const atRest = (stack) => until(async () => await statistic(stack, 'http.gateway.downstream_rq_active') === 0
  && await statistic(stack, 'cluster.authorization_server.upstream_rq_active') === 0, 'Envoy at rest');
