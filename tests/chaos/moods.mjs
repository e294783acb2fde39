// What an authorization server can do to those who ask it: each mood is what it answers while it lasts.
import { setTimeout as sleep } from 'node:timers/promises';
import { JOHN, SARAH } from '../../demo/people.mjs';
import { ACCESS_TOKEN, reply } from '../envoy/support/scripted-authorization-server.mjs';
import { decode, delegationToken } from '../envoy/support/tokens.mjs';

const HTML = { 'content-type': 'text/html' };
const JSON_TYPE = { 'content-type': 'application/json' };

/** What failover is for: no answer, or that of a server which is overloaded or broken. */
export const OUTAGES = ['killed', 'silent', 'slow', 'reset', '429 JSON', '500 JSON', '503 HTML'];

export const MOODS = ['fine', ...OUTAGES, 'garbage', 'truncated', "another user's token"];

// It is well more often than it is ill in any one way.
const CYCLE = [...MOODS, 'fine', 'fine'];

/** An authorization server of moods: a ScriptedAuthorizationServer, and what it gave away. */
export class MoodyServer {
  #server;
  #stack;
  #scripts;
  /** By the `jti` of each delegation token that it made: `{ subject, token_id }` of the token that it was made for. */
  issued = new Map();
  /** The `jti` of each delegation token that was made for another user. */
  foreign = new Set();
  mood = 'fine';

  constructor(server, stack) {
    this.#server = server;
    this.#stack = stack;
    this.#scripts = this.#scriptsOf();
    server.script = this.#scripts.fine;
  }

  get asked() { return this.#server.asked.length; }

  async turn(mood) {
    const before = this.mood;
    this.mood = mood;
    if (before === 'killed' && mood !== 'killed') await this.#server.listen();
    if (mood === 'killed') await this.#server.stop();
    else this.#server.script = this.#scripts[mood];
  }

  #scriptsOf() {
    const answered = (status, body, headers) => (request, response) => reply(response, status, body, headers);
    return {
      fine: async (request, response, body) => {
        const { status, text } = await this.#honest(request, body);
        reply(response, status, text);
      },
      silent: () => {},
      slow: async (request, response, body) => {
        const { status, text } = await this.#honest(request, body);
        response.writeHead(status, JSON_TYPE);
        for (let i = 0; i < text.length && !response.destroyed; i += 1) {
          response.write(text[i]);
          await sleep(100);
        }
        response.end();
      },
      reset: async (request, response, body) => {
        const { status, text } = await this.#honest(request, body);
        response.writeHead(status, { ...JSON_TYPE, 'content-length': text.length });
        response.write(text.slice(0, text.length / 2), () => request.socket.resetAndDestroy());
      },
      truncated: async (request, response, body) => {
        const { status, text } = await this.#honest(request, body);
        reply(response, status, text.slice(0, text.length / 2));
      },
      garbage: answered(200, '\u0000\ufffd{]'.repeat(100)),
      '429 JSON': answered(429, { error: 'slow_down' }),
      '500 JSON': answered(500, { error: 'server_error' }),
      '503 HTML': answered(503, '<html><body>Down for maintenance</body></html>', HTML),
      "another user's token": async (request, response, body) => {
        const form = new URLSearchParams(body.toString());
        const { sub } = decode(form.get('subject_token'));
        const token = delegationToken(this.#stack, form, { sub: sub === SARAH.user ? JOHN.user : SARAH.user });
        this.foreign.add(decode(token).jti);
        reply(response, 200, { access_token: token, issued_token_type: ACCESS_TOKEN, token_type: 'Bearer', expires_in: 5 });
      },
    };
  }

  /** The real server's answer, noted. */
  async #honest(request, body) {
    const answer = await this.#server.answerOf(request, body);
    if (answer.status === 200) {
      const { sub: subject, jti: token_id } = decode(new URLSearchParams(body.toString()).get('subject_token'));
      this.issued.set(decode(JSON.parse(answer.text).access_token).jti, { subject, token_id });
    }
    return answer;
  }
}

/** Moods and how many milliseconds each lasts: all of them in turn, shuffled anew each time, until `seconds` have passed. */
export function schedule(source, seconds) {
  const [end, turns] = [seconds * 1000, []];
  for (let [at, left] = [0, []]; at < end; at += turns.at(-1).lasts) {
    if (!left.length) left.push(...CYCLE);
    const [mood] = left.splice(source.below(left.length), 1);
    // Each comes up even in a short time.
    turns.push({ mood, lasts: Math.min(1000 + source.below(1000), Math.ceil(end / CYCLE.length), end - at) });
  }
  return turns;
}
