// The property: what a server executed is what was authorised, and what was authorised is what the client sent.
import { isDeepStrictEqual } from 'node:util';

/**
 * `bodies`: by the input's number, the bytes sent; `executions`: what the server says it executed; `records`: the audit
 * records. Returns the disagreements, none if all is well.
 */
export function judge(bodies, executions, records) {
  const byId = Map.groupBy(records, ({ request_id: id }) => id);
  const byRequest = Map.groupBy(executions, ({ request, input }) => `${request} ${input}`);
  return [...byRequest.values()].flatMap((ofThis) => {
    const [{ request, input }] = ofThis;
    const body = bodies.get(Number(input));
    return judgeRequest(ofThis, byId.get(request) ?? [], body).map((one) => ({ ...one, input: Number(input), body: body?.toString('latin1') }));
  });
}

/** A body is one message or, under 2025-03-26, a batch, which its record lists. Each message is executed once at most. */
function judgeRequest(executions, records, body) {
  const messages = [parse(body) ?? {}].flat();
  const [record] = records;
  const asked = record?.batch ?? [record];
  const left = new Set(messages.keys());
  return executions.flatMap((execution) => {
    const index = [...left].find((i) => !differences(execution, messages[i], asked[i]).length) ?? [...left][0];
    left.delete(index);
    const problems = differences(execution, messages[index], asked[index]);
    if (records.length !== 1 || record.decision !== 'allow') problems.push('not exactly one record that allows it');
    if (asked.length !== messages.length) problems.push('not as many messages in the record as in the body');
    return problems.length ? [{ problems, execution, records }] : [];
  });
}

/** Between what was executed, what the client sent, and what the record says. */
function differences(execution, message, asked) {
  const problems = [];
  const agree = (problem, one, other) => { if (!isDeepStrictEqual(one, other)) problems.push(problem); };
  if (execution.tool === 'secret_tool') problems.push('no rule allows this tool');
  agree('not the method of the record', execution.method, asked?.method);
  agree('not the method of the body', execution.method, message?.method);
  if (execution.method === 'tools/call') {
    agree('not the tool of the record', execution.tool, asked?.tool);
    agree('not the tool of the body', execution.tool, message?.params?.name);
    agree('not the arguments of the body', comparable(execution.arguments), comparable(message?.params?.arguments));
  }
  return problems;
}

/** Absent arguments are none. Through JSON, since the server's log is: what is not finite is null there, and -0 is 0. */
const comparable = (args) => JSON.parse(JSON.stringify(args ?? {}));

function parse(body) {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}
