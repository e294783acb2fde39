// The results for people.

const TEXT = `# Token exchange, measured

By \`make bench-exchange\`: Envoy with the filter, at the full rate of one machine that also runs the load, the
authorization server and the MCP server. So the rates are this machine's; the ratios are the filter's.

A *key* is a caller's token and a scope. The floor is the fewest exchanges that could serve the active keys: for each key
time / lifetime, and no more than it was called. The lifetime is that for which the tokens really lived: a five-second token
has whole seconds in \`iat\` and \`exp\`, so it lives for four to five. The filter uses one for four seconds after it asked for
it, so that 1.1 to 1.2 is what is possible while the machine keeps up. Where keys have to wait for their
turn, the time between an expiry and the next call costs nothing, and the ratio falls; where a key is called about once in a
lifetime, no call can be cached, and a ratio of 1 says nothing. The workers of Envoy share what one of them was given.
`;

export function markdown({ load_before: load, machine, generator, connections, measured_s: seconds, upstream_alone_per_s: ceiling, results }) {
  const ms = (value) => (value === null ? '–' : value.toFixed(1));
  const table = (head, row) => [head, head.map(() => '---'), ...results.map(row)].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
  const name = ({ workers, callers, tools }) => [workers, callers, tools];
  const ratios = table(['workers', 'callers', 'tools', 'ratio', 'exchanges', 'floor', 'real lifetime, s', 'calls/s', 'calls per key'], (one) => [
    ...name(one), `**${one.ratio.toFixed(2)}**`, one.exchanges, one.floor.toFixed(1), one.real_lifetime_s.toFixed(2), one.calls_per_s,
    Math.round(one.calls_per_s * seconds / one.active_keys),
  ]);
  const times = table(['workers', 'callers', 'tools', 'cached, p50 ms', 'cached, p99 ms', 'uncached, p50 ms', 'uncached, p99 ms', 'uncached, of all calls', 'CPU of Envoy, ms per call', 'not answered with 2xx'], (one) => [
    ...name(one), ms(one.cached.p50_ms), ms(one.cached.p99_ms), ms(one.uncached.p50_ms), ms(one.uncached.p99_ms), `${(100 * one.uncached.calls / (one.cached.calls + one.uncached.calls)).toFixed(1)} %`, one.cpu_ms_per_call.toFixed(2), one.refused + one.failed,
  ]);
  return `${TEXT}
${ratios}

How long the calls took within Envoy, by the audit records. Those that waited for another's exchange count as uncached. The
processor time, which other processes do not change, is that of the whole load, with its warm-up.

${times}

${seconds} s were measured of each, after a warm-up; ${machine.cpus} x ${machine.cpu}, ${connections} connections; the load average before was
${load}, so much of it is other processes' work. The load was made by
${generator === 'wrk' ? '`wrk`' : '`benches/load.mjs`'}, which with the MCP server alone made ${ceiling} calls/s. The authorization server is
\`benches/exchange/authorization-server.mjs\`, which only signs (ES256): the demo's makes some 400 exchanges a second and would be
all that is measured.
`;
}
