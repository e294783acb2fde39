// What a person with a browser would do, by fetch: open the page, fill in the form, follow the redirects.
const REDIRECTS = 10;

/** Signs in and returns the URL that the browser would have been sent back to. */
export async function signIn(authorizationUrl, { user, password }) {
  const callback = new URL(authorizationUrl).searchParams.get('redirect_uri');
  const browse = browser();

  let page = await follow(browse, authorizationUrl, callback);
  if (page.callback) return page.callback;

  const form = new URLSearchParams({ login: user, password });
  page = await follow(browse, page.url, callback, { method: 'POST', body: form });
  if (page.callback) return page.callback;
  throw new Error(`sign-in of ${user} failed with status ${page.status}`);
}

function browser() {
  const cookies = new Map();
  return async (url, init = {}) => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, { ...init, redirect: 'manual', headers: { ...init.headers, cookie } });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      cookies.set(name, value);
    }
    return response;
  };
}

async function follow(browse, start, callback, init) {
  let url = new URL(start);
  let response = await browse(url, init);
  for (let i = 0; i < REDIRECTS; i += 1) {
    const location = response.headers.get('location');
    if (!location) return { url, status: response.status };
    url = new URL(location, url);
    if (url.href.startsWith(callback)) return { callback: url };
    response = await browse(url);
  }
  throw new Error('too many redirects');
}
