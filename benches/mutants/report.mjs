// Puts what `run` found beside what earlier runs found in other files. See benches/results/mutants.md.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const TEXT = `# Mutants, counted

By \`make mutants\` (cargo-mutants): the code that decides, changed in one place at a time. A mutant is *caught* if a test fails, or
does not end; *missed* if none does; *unviable* if it does not compile. The unit tests are asked first, and about those that they
miss the tests of whole requests (\`tests/flow\`), policies, their differences, configurations, exchanges and decision cases. What
\`.cargo/mutants.toml\` leaves out is not counted, with the reasons there. Where fewer were tried than there are, it was a sample; what a test was
written for after it was missed counts as caught, so that the figures say nothing of the mutants that were not tried. Of code that went
after it was tried, nothing counts: as nobody knows any more what its mutants were, they are taken from those that were caught.
`;
const KINDS = { CaughtMutant: 'caught', Timeout: 'caught', MissedMutant: 'missed', Unviable: 'unviable' };

const root = fileURLToPath(new URL('../..', import.meta.url));
const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));
const output = join(root, 'target/mutants');
const before = join(root, 'benches/results/mutants.json');
const known = existsSync(before) ? readJson(before).files : [];
// Of what was asked twice, the second answer counts.
const last = new Map(['mutants.out.old', 'mutants.out'].flatMap(outcomes));
const all = readJson(join(output, 'all.json'));
const files = [...new Set(all.map(({ file }) => file))].map((file) => {
  const found = [...last.values()].filter((one) => one.file === file);
  const earlier = known.find((other) => other.file === file);
  const one = found.length >= (earlier?.tried ?? 0) ? count(file, found) : askedAgain(earlier, found);
  return ofWhatIsThere(one, all.filter((other) => other.file === file).length);
});
files.sort((one, other) => one.file.localeCompare(other.file));
writeFileSync(before, `${JSON.stringify({ files }, null, 1)}\n`);
writeFileSync(before.replace(/json$/, 'md'), markdown());
console.log(markdown());

function outcomes(name) {
  const path = join(output, name, 'outcomes.json');
  if (!existsSync(path)) return [];
  const mutants = readJson(path).outcomes.filter(({ scenario }) => scenario.Mutant !== undefined);
  return mutants.map(({ scenario: { Mutant: { name, file } }, summary }) => [name, { name, file, kind: KINDS[summary] }]);
}

function count(file, outcomes) {
  const of = (wanted) => outcomes.filter(({ kind }) => kind === wanted);
  const missed = of('missed').map(({ name }) => name.slice(file.length + 1)).sort();
  return { file, tried: outcomes.length, caught: of('caught').length, missed: missed.length, unviable: of('unviable').length, names: missed };
}

/** A run that tried fewer than an earlier one says of what that missed whether it is caught now. */
function askedAgain(earlier, found) {
  const caught = new Set(found.filter(({ kind }) => kind === 'caught').map(({ name }) => name));
  const names = earlier.names.filter((name) => !caught.has(`${earlier.file}:${name}`));
  return { ...earlier, caught: earlier.tried - earlier.unviable - names.length, missed: names.length, names };
}

/** What was tried of a file that has so many mutants now. */
function ofWhatIsThere(one, mutants) {
  const gone = Math.max(0, one.tried - mutants);
  return { ...one, mutants, tried: one.tried - gone, caught: Math.max(0, one.caught - gone) };
}

function markdown() {
  const sum = (name) => files.reduce((total, file) => total + file[name], 0);
  const names = ['mutants', 'tried', 'caught', 'missed', 'unviable'];
  const total = { file: '**all**', ...Object.fromEntries(names.map((name) => [name, sum(name)])) };
  const share = ({ caught, missed }) => (caught + missed === 0 ? '–' : (100 * caught / (caught + missed)).toFixed(1));
  const row = (one) => `| ${[one.file, ...names.map((name) => one[name]), share(one)].join(' | ')} |`;
  const missed = files.flatMap(({ file, names }) => names.map((name) => `- \`${file}:${name}\``));
  return `${TEXT}
| file | ${names.join(' | ')} | caught, % of the viable |
| --- | --- | --- | --- | --- | --- | --- |
${[...files, total].map(row).join('\n')}

Missed: ${missed.length === 0 ? 'none.' : `\n\n${missed.join('\n')}`}
`;
}
