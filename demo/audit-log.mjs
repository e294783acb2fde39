// Deputy's audit records, out of Envoy's log: lines that hold `deputy.audit {json}`.
const MARK = 'deputy.audit {';

export function auditRecords(log) {
  return log.split('\n').flatMap((line) => {
    const start = line.indexOf(MARK);
    return start < 0 ? [] : [JSON.parse(line.slice(start + MARK.length - 1))];
  });
}
