// The results for people.

export function markdown({ load_before: load, machine, rounds, seconds, agentgateway, wasm_bytes: bytes, starts, groups }, plot) {
  const ms = (value) => value.toFixed(2);
  const section = ({ title, variants }) => {
    const lists = variants.some(({ list_mb_per_s: rate }) => rate);
    const head = ['', 'CPU', 'from', 'to', 'requests/s', 'CPU, us', 'added, us', 'p50, ms', 'p99, ms', 'p99 added, ms', ...lists ? ['list, MB/s per core'] : []];
    const rows = variants.map((one) => [
      one.name, `**${ms(one.cpu_ratio)}**`, ms(one.cpu_ratio_from), ms(one.cpu_ratio_to), ms(one.rate_ratio), Math.round(one.cpu_us), Math.round(one.cpu_us_added),
      ms(one.p50_ms), ms(one.p99_ms), ms(one.p99_ms_added), ...lists ? [one.list_mb_per_s ?? ''] : [],
    ]);
    return `## ${title}\n\n${table([head, head.map(() => '---'), ...rows])}`;
  };
  const bad = groups.flatMap(({ variants }) => variants).reduce((sum, { not_as_due: count }) => sum + count, 0);
  return `# The filter in Envoy, measured

By \`make bench\`; what it means stands in \`docs/performance.md\`. The ratios are to the first row of each table, in the same round;
CPU is that of all of the gateway's threads per request. All shown is the median of ${rounds} rounds of ${seconds} s, from and to are the lowest and
the highest ratio. The load average before was ${load}, on ${machine.cpus} x ${machine.cpu}. ${bad} requests were not answered as they were due to be.
${agentgateway ? built(agentgateway) : 'Nothing was measured against agentgateway: `AGENTGATEWAY` did not name its program.'}

![CPU per request](${plot})

${groups.map(section).join('\n\n')}

## Size, start and memory

\`deputy.wasm\` has ${Math.round(bytes / 1e3)} kB.

${table([
    ['Gateway, workers', 'start, ms', 'resident at rest, MB', 'after all the load, MB', 'a VM at rest, MiB', 'after it, MiB'], ['---', '---', '---', '---', '---', '---'],
    ...starts.map((one) => [one.name.replace('/', ', '), one.start_ms, one.rest_mb, one.after_mb, one.vm_rest_mib ?? '', one.vm_after_mib ?? '']),
  ])}
`;
}

function built({ git_revision: revision, build_profile: profile, rust_version: rust }) {
  return `agentgateway was built from revision \`${revision}\` with profile \`${profile}\` by Rust ${rust}.`;
}

function table(rows) { return rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n'); }
