// Stops what up.mjs started. Run by `make down`.
import { rmSync } from 'node:fs';
import { background, runningStack } from './background.mjs';
import { until } from './process.mjs';

const pid = runningStack();
if (pid) {
  process.kill(pid, 'SIGTERM');
  await until(() => runningStack() !== pid, `process ${pid} to end`, { seconds: 20 });
  console.log('The stack is down.');
} else {
  console.log('The stack is not up.');
}
rmSync(background.pidFile, { force: true });
