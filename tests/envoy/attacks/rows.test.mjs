// No attack of the tables is without its test, and no test without its attack.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const files = (pattern, directory = './') => readdirSync(new URL(directory, import.meta.url)).filter((name) => pattern.test(name)).map((name) => directory + name);
const source = (name) => readFileSync(new URL(name, import.meta.url), 'utf8');

// Here or one folder up; in `row`, `attack` and `test` alike.
const tests = [...files(/\.test\.mjs$/), ...files(/\.test\.mjs$/, '../')];
const tested = tests.flatMap((name) => [...source(name).matchAll(/\b(?:row|attack|test)\(\s*['"`]([A-Z]\d\d)\b/g)]).map(([, id]) => id);

for (const name of files(/^rows.*(?<!\.test)\.mjs$/)) {
  test(`every row of ${name} has its test`, async () => {
    const { ROWS } = await import(name);
    const classes = new Set(Object.keys(ROWS).map((id) => id[0]));
    assert.deepEqual([...new Set(tested)].filter((id) => classes.has(id[0])).sort(), Object.keys(ROWS).sort());
  });
}
