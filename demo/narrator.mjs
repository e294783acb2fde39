// Tells a story step by step on the terminal. Colour only where one is wanted (NO_COLOR, no terminal: none).
import { styleText } from 'node:util';
import Table from 'cli-table3';

const style = (format, text) => styleText(format, text, { stream: process.stdout });

let steps = 0;

/** Runs `act`; prints the sentence and a tick if it went as told, else a cross, and throws. */
export async function step(sentence, act) {
  steps += 1;
  const facts = [];
  const show = (text) => facts.push(...text.split('\n').map((line) => `   ${line}`));
  const print = (mark) => console.log([`${mark} ${style('bold', `${steps}. ${sentence}`)}`, ...facts, ''].join('\n'));
  try {
    const result = await act(show);
    print(style('green', '✔'));
    return result;
  } catch (error) {
    print(style('red', '✘'));
    throw error;
  }
}

export const dim = (text) => style('dim', text);
export const quote = (text) => style('cyan', `“${text}”`);

export function table(head, rows) {
  const result = new Table({
    head: head.map((text) => style('bold', text)),
    style: { head: [], border: process.stdout.hasColors?.() ? ['grey'] : [], compact: true },
  });
  result.push(...rows.map((row) => row.map((cell) => cell ?? '')));
  return result.toString();
}

export function title(text) {
  console.log(`\n${style('bold', text)}\n`);
}
