// The results for people.

const TEXT = `# Tokens, measured

By \`make bench-tokens\`: a tool call through Envoy with one worker, and the processor time of Envoy alone (schedstat). Each
round measures every row, one after the other; the ratios are to Envoy without the filter in the same round, and the table has
their medians. In every row with the filter the call is judged, carries a delegation token that was exchanged before, and leaves
an audit record.

The tokens are 64 in turn. A gateway to which they are new remembers one (\`limits.cached_tokens: 1\`), so that it checks the signature
of each request's. *By Envoy* is its function \`verify_signature\`, as the filter uses it. *In WebAssembly* is the same filter with the name of
that function overwritten in the binary, so that Envoy does not know it, and all is done in Rust: what PS256 and EdDSA always are.
`;

export function markdown({ load_before: load, machine, generator, connections, rounds, seconds, calls, exchanged, variants, openssl }) {
  const table = (head, rows) => [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
  const us = (value) => (value === null ? '–' : value.toFixed(0));
  const ratios = table(['', 'CPU per call, ratio', 'lowest to highest', 'calls/s, ratio', 'CPU per call, us', 'more than a known token, us'], variants.map((one) => [
    one.name, `**${one.cpu_ratio.toFixed(2)}**`, `${one.lowest_ratio.toFixed(2)} – ${one.highest_ratio.toFixed(2)}`, one.rate_ratio.toFixed(2), us(one.cpu_us), us(one.check_us),
  ]));
  const native = table(['openssl speed', 'one check, us'], Object.entries(openssl.verify_us).map(([name, value]) => [name, value.toFixed(1)]));
  return `${TEXT}
${ratios}

What a native check costs on the same machine, right after (${openssl.version.split(' (')[0]}). It has the key at hand, while Envoy
parses it for each check; and the last column above also holds the reading of the token's header and claims.

${native}

${rounds} rounds of ${seconds} s, ${calls} calls with ${exchanged} exchanges; ${machine.cpus} x ${machine.cpu}, ${connections} connections; the load average before was ${load}, so much of it is other processes'
work. The load was made by ${generator === 'wrk' ? '`wrk`' : '`benches/load.mjs`'}.
`;
}
