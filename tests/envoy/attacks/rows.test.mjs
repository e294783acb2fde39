// No attack of the tables is without its test, and no test without its attack.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const files = (pattern) => readdirSync(import.meta.dirname).filter((name) => pattern.test(name));
const source = (name) => readFileSync(new URL(name, import.meta.url), 'utf8');

// Of `row` and `test` alike.
const tested = files(/\.test\.mjs$/).flatMap((name) => [...source(name).matchAll(/\b(?:row|test)\(\s*['"`]([A-Z]\d\d)\b/g)]).map(([, id]) => id);

for (const name of files(/^rows.*(?<!\.test)\.mjs$/)) {
  test(`every row of ${name} has its test`, async () => {
    const { ROWS } = await import(`./${name}`);
    const classes = new Set(Object.keys(ROWS).map((id) => id[0]));
    assert.deepEqual([...new Set(tested)].filter((id) => classes.has(id[0])).sort(), Object.keys(ROWS).sort());
  });
}
