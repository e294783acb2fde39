// Where the stack in the background keeps its process id and its log.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { stateDirectory } from './keys.mjs';

const directory = join(stateDirectory(), 'up');

export const background = {
  directory,
  pidFile: join(directory, 'pid'),
  readyFile: join(directory, 'ready.json'),
  errorFile: join(directory, 'error.log'),
};

/** Its process id, if it runs. A number that now belongs to another program does not count. */
export function runningStack() {
  try {
    const pid = Number(readFileSync(background.pidFile, 'utf8'));
    const command = execFileSync('ps', ['-p', String(pid), '-o', 'args='], { encoding: 'utf8' });
    return command.includes('stack.mjs') ? pid : undefined;
  } catch {
    return undefined;
  }
}
