// What each row of the classes L and F attacks. The tests of a row have names that begin with its id.
export const ROWS = {
  L01: 'what a client sends forges a line of the log, or hides in one',
  L02: 'a log or a dump gives away a token or a secret',
  L03: 'what a client sends ends up in a challenge, and splits or changes it',
  L04: 'the id of a request comes back as a page\'s script, or makes the answer huge',
  L05: 'the answers to bad tokens tell which check each of them failed',
  F01: 'the filter traps, and what follows passes without it',
  F03: 'a token comes before there are keys to check it with',
  F06: 'a route or a listener of the configuration leaves the filter out',
  F07: 'a policy\'s pattern, a list of scopes or a policy of many rules takes endless time',
};
