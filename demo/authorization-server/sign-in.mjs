// The sign-in page: a form, and for someone who is signed in already, a button to continue.
import { timingSafeEqual, createHash } from 'node:crypto';
import { USERS } from './policy.mjs';

const PATH = /^\/interaction\/[\w-]+$/;

export const interactionUrl = (ctx, interaction) => `/interaction/${interaction.uid}`;

export function signInPage(provider) {
  return async (ctx, next) => {
    if (!PATH.test(ctx.path)) return next();
    ctx.set({
      'cache-control': 'no-store',
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
      'referrer-policy': 'no-referrer',
    });
    const { prompt, params, session } = await provider.interactionDetails(ctx.req, ctx.res);
    const client = await provider.Client.find(params.client_id);
    const view = { client: client?.clientName ?? params.client_id, scope: params.scope, user: session?.accountId };
    const signedIn = prompt.name === 'consent';

    if (ctx.method !== 'POST') return show(ctx, signedIn ? continuePage(view) : formPage(view));

    // `consent`: this is a first party, and loadExistingGrant says what the user may have.
    const result = { consent: {} };
    if (!signedIn) {
      const form = await readForm(ctx);
      const login = form.get('login')?.trim().toLowerCase();
      if (!passwordIsRight(login, form.get('password'))) {
        ctx.status = 401;
        return show(ctx, formPage({ ...view, login, error: 'Wrong user or password.' }));
      }
      result.login = { accountId: login };
    }
    const location = await provider.interactionResult(ctx.req, ctx.res, result, { mergeWithLastSubmission: false });
    ctx.redirect(location);
    ctx.status = 303;
    return undefined;
  };
}

async function readForm(ctx) {
  let body = '';
  for await (const chunk of ctx.req) {
    body += chunk;
    if (body.length > 4096) ctx.throw(413);
  }
  return new URLSearchParams(body);
}

function passwordIsRight(login, password) {
  const digest = (text) => createHash('sha256').update(text ?? '').digest();
  const user = Object.hasOwn(USERS, login ?? '') ? USERS[login] : undefined;
  return timingSafeEqual(digest(user?.password), digest(password)) && Boolean(user);
}

function show(ctx, body) {
  ctx.type = 'html';
  ctx.body = body;
}

const escape = (text) => String(text ?? '').replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`);

const formPage = ({ client, scope, login, error }) => page('Sign in', `
  <p><strong>${escape(client)}</strong> asks you to sign in.</p>
  ${scopeList(scope)}
  ${error ? `<p class="error" role="alert">${escape(error)}</p>` : ''}
  <label>User <input name="login" type="email" autocomplete="username" value="${escape(login)}" required autofocus></label>
  <label>Password <input name="password" type="password" autocomplete="current-password" required></label>
  <button>Sign in</button>`);

const continuePage = ({ client, scope, user }) => page('Continue', `
  <p><strong>${escape(client)}</strong> asks to go on as <strong>${escape(user)}</strong>.</p>
  ${scopeList(scope)}
  <button autofocus>Continue</button>`);

const scopeList = (scope) => (scope
  ? `<ul>${scope.split(' ').map((name) => `<li><code>${escape(name)}</code></li>`).join('')}</ul>` : '');

const page = (title, content) => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · orchestrator.lab</title>
<style>
  :root { color-scheme: light dark; --accent: #2f5fd0; }
  body { font: 16px/1.5 system-ui, sans-serif; display: grid; place-items: center; min-height: 100vh; margin: 0;
    background: light-dark(#f3f4f7, #14161a); }
  form { width: min(22rem, 90vw); padding: 2rem; border-radius: 12px; background: light-dark(#fff, #1f2228);
    box-shadow: 0 6px 30px #0002; }
  h1 { font-size: 1.25rem; margin: 0 0 1rem; }
  label { display: block; margin: 1rem 0; font-size: .875rem; }
  input, button { box-sizing: border-box; width: 100%; padding: .6rem .75rem; font: inherit; border-radius: 8px; }
  input { margin-top: .25rem; border: 1px solid #8886; background: transparent; color: inherit; }
  button { border: 0; background: var(--accent); color: #fff; font-weight: 600; cursor: pointer; }
  ul { display: flex; flex-wrap: wrap; gap: .4rem; padding: 0; list-style: none; }
  code { padding: .1rem .5rem; border-radius: 99px; background: #8883; font-size: .8rem; }
  .error { color: #d33; }
</style>
<form method="post"><h1>orchestrator.lab</h1>${content}
</form>
</html>`;
