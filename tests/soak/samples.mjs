// What is seen of Envoy from outside, second by second.
import { readFileSync } from 'node:fs';

const MEBIBYTE = 1024 * 1024;

/** What Envoy uses and has open now. The memory of the virtual machines is in `resident` and not in `allocated`. */
export async function sample(stack) {
  const status = readFileSync(`/proc/${stack.pids.gateway}/status`, 'utf8');
  const admin = async (path) => (await fetch(stack.adminUrl + path)).text();
  const [memory, stats] = await Promise.all([admin('/memory'), admin('/stats?filter=_active$')]);
  const { allocated, heap_size: heap } = JSON.parse(memory);
  const of = (name) => [...stats.matchAll(/^(.+): (\d+)$/gm)].reduce((sum, [, found, value]) => (found === name ? sum + Number(value) : sum), 0);
  return {
    resident: mebibytes(Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)[1]) * 1024),
    allocated: mebibytes(Number(allocated)),
    heap: mebibytes(Number(heap)),
    connections: of('http.gateway.downstream_cx_active'),
    streams: of('http.gateway.downstream_rq_active'),
    callouts: of('cluster.authorization_server.upstream_rq_active'),
    upstream: of('cluster.enterprise_ledger.upstream_rq_active') + of('cluster.sessions.upstream_rq_active'),
  };
}

const mebibytes = (bytes) => Math.round((10 * bytes) / MEBIBYTE) / 10;

/** The value below which this share of `values` is. */
export function quantile(values, share) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

export const median = (values) => quantile(values, 0.5);
