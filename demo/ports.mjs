// Ports that are easy to remember, for `make up` and docker-compose.
export const friendlyPorts = {
  gateway: Number(process.env.GATEWAY_PORT ?? 10000),
  admin: Number(process.env.ADMIN_PORT ?? 9901),
  authorizationServer: Number(process.env.AUTHORIZATION_SERVER_PORT ?? 9400),
  ledger: Number(process.env.LEDGER_PORT ?? 9500),
};
