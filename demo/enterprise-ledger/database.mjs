// The ledger's data: an embedded SQL database, in memory unless a file is named.
import { DatabaseSync } from 'node:sqlite';

const SCHEMA = `
  CREATE TABLE customers (id TEXT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, phone TEXT NOT NULL,
    date_of_birth TEXT NOT NULL, social_security_number TEXT NOT NULL, address TEXT NOT NULL);
  CREATE TABLE accounts (id TEXT PRIMARY KEY, customer_id TEXT NOT NULL REFERENCES customers, name TEXT NOT NULL,
    currency TEXT NOT NULL, balance_cents INTEGER NOT NULL, status TEXT NOT NULL CHECK (status IN ('active', 'frozen', 'closed')));
  CREATE TABLE transactions (id TEXT PRIMARY KEY, account_id TEXT NOT NULL REFERENCES accounts, date TEXT NOT NULL,
    description TEXT NOT NULL, amount_cents INTEGER NOT NULL);
  CREATE TABLE audit_log (id INTEGER PRIMARY KEY, time TEXT NOT NULL, subject TEXT NOT NULL, actor TEXT,
    action TEXT NOT NULL, account_id TEXT NOT NULL REFERENCES accounts, detail TEXT NOT NULL);`;

const CUSTOMERS = [
  ['CUST-001', 'Cyberdyne Systems', 'accounts@cyberdyne.example', '+1 555 0129', '1984-10-26', '078-05-1120', '18144 El Camino Real, Sunnyvale'],
  ['CUST-002', 'Nakatomi Trading', 'treasury@nakatomi.example', '+1 555 0188', '1988-07-15', '219-09-9999', '2121 Avenue of the Stars, Los Angeles'],
  ['CUST-003', 'Holly Gennaro', 'holly@gennaro.example', '+1 555 0142', '1956-03-25', '457-55-5462', '14 Rustic Canyon Road, Pacific Palisades'],
];
const ACCOUNTS = [
  ['ACC-1001', 'CUST-001', 'Research and development', 'USD', 1_250_000_00, 'active'],
  ['ACC-1002', 'CUST-001', 'Payroll', 'USD', 310_450_75, 'active'],
  ['ACC-2001', 'CUST-002', 'Bearer bonds', 'USD', 640_000_000_00, 'frozen'],
  ['ACC-2002', 'CUST-002', 'Operations', 'JPY', 98_500_000, 'active'],
  ['ACC-3001', 'CUST-003', 'Household', 'USD', 8_214_10, 'active'],
];
const TRANSACTIONS = [
  ['TX-1', 'ACC-1001', '2026-11-02', 'Microprocessor prototypes', -84_300_00],
  ['TX-2', 'ACC-1001', '2026-11-09', 'Defence contract, second instalment', 500_000_00],
  ['TX-3', 'ACC-1002', '2026-11-15', 'Salaries', -122_910_40],
  ['TX-4', 'ACC-2001', '2026-10-24', 'Vault transfer, held for review', -640_000_000_00],
  ['TX-5', 'ACC-2002', '2026-11-12', 'Lift maintenance', -1_200_000],
  ['TX-6', 'ACC-3001', '2026-11-17', 'Air ticket', -389_00],
  ['TX-7', 'ACC-3001', '2026-11-18', 'Groceries', -96_20],
];
const AUDIT_LOG = [
  ['2026-10-24T20:04:11.000Z', 'sarah.connor@orchestrator.lab', 'ai-identity-gateway', 'updateAccountStatus', 'ACC-2001', 'active -> frozen'],
];

export function openDatabase(path = ':memory:') {
  const database = new DatabaseSync(path);
  if (!database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'accounts'").get()) seed(database);

  const all = (sql) => { const statement = database.prepare(sql); return (...values) => statement.all(...values); };
  const one = (sql) => { const statement = database.prepare(sql); return (...values) => statement.get(...values); };
  const account = one('SELECT * FROM accounts WHERE id = ?');
  const setStatus = database.prepare('UPDATE accounts SET status = ? WHERE id = ?');
  const record = database.prepare(
    'INSERT INTO audit_log (time, subject, actor, action, account_id, detail) VALUES (?, ?, ?, ?, ?, ?)');

  return {
    accounts: all('SELECT id, name, currency, balance_cents, status FROM accounts ORDER BY id'),
    account,
    transactions: all('SELECT id, date, description, amount_cents FROM transactions WHERE account_id = ? ORDER BY date DESC LIMIT ?'),
    customer: one('SELECT * FROM customers WHERE id = ?'),
    auditLog: all('SELECT * FROM audit_log ORDER BY id DESC LIMIT ?'),
    /** The change and its record, or neither. `by` is `{ subject, actor }`. */
    updateStatus(id, status, by) {
      database.exec('BEGIN IMMEDIATE');
      try {
        const before = account(id).status;
        setStatus.run(status, id);
        record.run(new Date().toISOString(), by.subject, by.actor, 'updateAccountStatus', id, `${before} -> ${status}`);
        database.exec('COMMIT');
      } catch (error) {
        database.exec('ROLLBACK');
        throw error;
      }
      return account(id);
    },
    close: () => database.close(),
  };
}

function seed(database) {
  database.exec(SCHEMA);
  const fill = (table, columns, rows) => {
    const insert = database.prepare(`INSERT INTO ${table} (${columns}) VALUES (${columns.split(',').map(() => '?')})`);
    for (const row of rows) insert.run(...row);
  };
  fill('customers', 'id, name, email, phone, date_of_birth, social_security_number, address', CUSTOMERS);
  fill('accounts', 'id, customer_id, name, currency, balance_cents, status', ACCOUNTS);
  fill('transactions', 'id, account_id, date, description, amount_cents', TRANSACTIONS);
  fill('audit_log', 'time, subject, actor, action, account_id, detail', AUDIT_LOG);
}
