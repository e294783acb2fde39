// The ledger's tools, and the one scope that each takes.
import { McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';

/** What needs no tool: connecting, pinging, listing. */
export const CONNECT = ['ledger:Connect'];

/** A delegation token carries exactly one scope, and it must be one that the tool accepts. */
export const SCOPES = {
  listAccounts: ['ledger:ListAccounts'],
  getAccount: ['ledger:GetAccount'],
  getTransactions: ['ledger:ListTransactions', 'ledger:ViewTransactions'],
  updateAccountStatus: ['ledger:UpdateAccount'],
  getCustomerPII: ['ledger:ReadPII'],
  getAuditLog: ['ledger:ReadAudit'],
};

const accountId = z.string().describe('Account id, like ACC-1001');
const limit = z.number().int().min(1).max(100).default(20);
const reading = { readOnlyHint: true, openWorldHint: false };

export function ledgerServer(database) {
  const server = new McpServer({ name: 'enterprise-ledger', version: '1.0.0' });
  const tool = (name, config, run) => server.registerTool(name, config, (args, context) => run(args, context.http?.authInfo));

  tool('listAccounts', {
    title: 'List accounts', description: 'Lists the accounts with their balances.', annotations: reading,
    inputSchema: z.object({}),
  }, () => found({ accounts: database.accounts() }));

  tool('getAccount', {
    title: 'Get account', description: 'Shows one account.', annotations: reading,
    inputSchema: z.object({ accountId }),
  }, (args) => found(database.account(args.accountId)));

  tool('getTransactions', {
    title: 'Get transactions', description: 'Lists the latest transactions of an account.', annotations: reading,
    inputSchema: z.object({ accountId, limit }),
  }, (args) => found(database.account(args.accountId) && { transactions: database.transactions(args.accountId, args.limit) }));

  tool('updateAccountStatus', {
    title: 'Update account status', description: 'Sets the status of an account: active, frozen or closed.',
    annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
    inputSchema: z.object({ accountId, status: z.enum(['active', 'frozen', 'closed']) }),
  }, ({ accountId: id, status }, { extra: { claims } }) => found(database.account(id)
    && database.updateStatus(id, status, { subject: claims.sub, actor: claims.act.sub })));

  tool('getCustomerPII', {
    title: 'Get customer PII', description: 'Shows the personal data of a customer.', annotations: reading,
    inputSchema: z.object({ customerId: z.string().describe('Customer id, like CUST-001') }),
  }, (args) => found(database.customer(args.customerId)));

  tool('getAuditLog', {
    title: 'Get audit log', description: 'Lists who changed what, through whom.', annotations: reading,
    inputSchema: z.object({ limit }),
  }, (args) => found({ entries: database.auditLog(args.limit) }));

  return server;
}

function found(value) {
  if (!value) return { isError: true, content: [{ type: 'text', text: 'Not found.' }] };
  return { content: [{ type: 'text', text: JSON.stringify(value) }], structuredContent: { ...value } };
}
