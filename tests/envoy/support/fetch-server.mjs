// A handler of the web's Request and Response, behind node:http.
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

export async function serveFetch(handle, incoming, outgoing) {
  const { method, url, rawHeaders } = incoming;
  const headers = new Headers(Array.from({ length: rawHeaders.length / 2 }, (_, i) => rawHeaders.slice(2 * i, 2 * i + 2)));
  const body = ['GET', 'HEAD'].includes(method) ? undefined : Readable.toWeb(incoming);
  try {
    const response = await handle(new Request(new URL(url, 'http://127.0.0.1'), { method, headers, body, duplex: 'half' }));
    outgoing.writeHead(response.status, Object.fromEntries(response.headers));
    if (!response.body) return void outgoing.end();
    outgoing.flushHeaders();
    await pipeline(Readable.fromWeb(response.body), outgoing);
  } catch {
    outgoing.destroy();
  }
}
