// Which lines of the core the crate's own tests meet: `node main.mjs FILE.lcov check|write`. Fails under the floor; `write` puts
// the figures into benches/results/. See benches/results/coverage.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const FLOOR = 95; // per cent
const TEXT = `# Coverage, measured

By \`make coverage\`: the lines of the core, which is all of \`src/\` but the adapter to the host (\`src/filter*\`, which the tests with a
real Envoy meet) and the tool (\`src/bin\`), that \`cargo test\` meets. Code that is there for tests alone does not count, nor do runs in
WebAssembly, in Envoy and by the fuzz targets. Under ${FLOOR} % of the lines \`make coverage\` and \`make test\` fail.
`;

const [, , file, mode] = process.argv;
const files = coverage(readFileSync(file, 'utf8')).sort((one, other) => one.file.localeCompare(other.file));
const sum = (of) => files.reduce((total, file) => total + of(file), 0);
const core = summary('the core', sum(({ lines }) => lines), sum(({ met }) => met));
const results = { floor_percent: FLOOR, core, files };
if (mode === 'write') {
  writeFileSync(join(root, 'benches/results/coverage.json'), `${JSON.stringify(results, null, 1)}\n`);
  writeFileSync(join(root, 'benches/results/coverage.md'), markdown(results));
  console.log(markdown(results));
}
const isEnough = core.percent >= FLOOR;
console.log(`${core.percent} % of the lines of the core are met; the floor is ${FLOOR} %`);
console.log(`test result: ${isEnough ? 'ok. 1 passed; 0 failed' : 'FAILED. 0 passed; 1 failed'}`);
if (!isEnough) process.exitCode = 1;

function coverage(lcov) {
  return lcov.split('end_of_record').flatMap((record) => {
    const path = /^SF:(.*)$/m.exec(record)?.[1];
    if (path === undefined) return [];
    const file = relative(root, path);
    if (!file.startsWith('src/') || /\/tests(\.rs|\/)/.test(file)) return [];
    const ofTests = linesOfTests(readFileSync(path, 'utf8'));
    const found = [...record.matchAll(/^DA:(\d+),(\d+)/gm)].map(([, line, count]) => [Number(line), Number(count)]);
    const lines = found.filter(([line]) => !ofTests.has(line));
    const missed = lines.filter(([, count]) => count === 0).map(([line]) => line);
    return lines.length === 0 ? [] : [{ ...summary(file, lines.length, lines.length - missed.length), missed }];
  });
}

function summary(file, lines, met) {
  return { file, lines, met, percent: Math.floor(1000 * met / lines) / 10 };
}

// Each item after `#[cfg(test)]`, down to the brace that closes it: rustfmt puts that under its beginning.
function linesOfTests(text) {
  const lines = text.split('\n');
  const found = new Set();
  lines.forEach((line, index) => {
    const indent = /^( *)#\[cfg\(test\)\]$/.exec(line)?.[1];
    if (indent === undefined || !lines[index + 1].endsWith('{')) return;
    const end = lines.indexOf(`${indent}}`, index);
    for (let at = index; at <= end; at += 1) found.add(at + 1);
  });
  return found;
}

function markdown({ core, files }) {
  const row = ({ file, lines, met, percent }) => `| ${file} | ${lines} | ${lines - met} | ${percent.toFixed(1)} |`;
  return `${TEXT}
| file | lines | not met | % |
| --- | --- | --- | --- |
${[...files, { ...core, file: '**the core**' }].map(row).join('\n')}

Which lines are not met, by number: \`coverage.json\`.
`;
}
