// The property: what a server executed is what was authorised, and what was authorised is what the client sent.
import { isDeepStrictEqual } from 'node:util';

/**
 * `bodies`: by the input's number, the bytes sent; `executions`: what the server says it executed; `records`: the audit
 * records. Returns the disagreements, none if all is well.
 */
export function judge(bodies, executions, records) {
  const byId = Map.groupBy(records, ({ request_id: id }) => id);
  const seen = new Set();
  return executions.flatMap((execution) => {
    const ofThis = byId.get(execution.request) ?? [];
    const body = bodies.get(Number(execution.input));
    const problems = problemsOf(execution, ofThis, body);
    if (seen.has(execution.request)) problems.push('a second execution of one request');
    seen.add(execution.request);
    return problems.length ? [{ problems, execution, records: ofThis, body: body?.toString('latin1') }] : [];
  });
}

function problemsOf(execution, records, body) {
  const problems = [];
  const agree = (what, ...values) => {
    if (!values.every((value) => isDeepStrictEqual(value, values[0]))) problems.push(what);
  };
  const [record] = records;
  if (records.length !== 1 || record.decision !== 'allow') problems.push('not exactly one record that allows it');
  if (execution.tool === 'secret_tool') problems.push('no rule allows this tool');
  const message = parse(body);
  agree('method', execution.method, record?.method, message?.method);
  if (execution.method === 'tools/call') {
    agree('tool', execution.tool, record?.tool, message?.params?.name);
    agree('arguments', comparable(execution.arguments), comparable(message?.params?.arguments));
  }
  return problems;
}

// Absent arguments are none. Through JSON, since the server's log is: what is not finite is null there, and -0 is 0.
const comparable = (args) => JSON.parse(JSON.stringify(args ?? {}));

function parse(body) {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}
