// Who may have what, as data.
import { GATEWAY } from '../keys.mjs';

export const USERS = {
  'john.mcclane@orchestrator.lab': { password: 'yippiekayay', scopes: ['mcp:connect'] },
  'sarah.connor@orchestrator.lab': { password: 'judgmentday', scopes: ['mcp:connect', 'pii:read', 'audit:read'] },
};

/** The gateway's resource: scopes a user can sign in for, and how long an inbound token lives. */
export const INBOUND = { scopes: ['mcp:connect', 'pii:read', 'audit:read'], lifetime: 600, algorithm: 'RS256' };

/**
 * What a client may exchange an inbound token for: per audience, each scope and the scope that the
 * subject token must carry for it (`null`: any user who could sign in).
 */
export const DELEGATION = {
  [GATEWAY]: {
    'https://enterprise-ledger.orchestrator.lab/': {
      lifetime: 5,
      algorithm: 'ES256',
      scopes: {
        'ledger:Connect': null,
        'ledger:ListAccounts': null,
        'ledger:GetAccount': null,
        'ledger:ListTransactions': null,
        'ledger:ViewTransactions': null,
        'ledger:UpdateAccount': null,
        'ledger:ReadPII': 'pii:read',
        'ledger:ReadAudit': 'audit:read',
      },
    },
  },
};
