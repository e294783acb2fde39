// HTTP/2 by hand (RFC 9113, HPACK without compression), for what Node's client would not send.
import { connect } from 'node:net';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const [DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY] = [0, 1, 3, 4, 7];
const [END_STREAM, END_HEADERS] = [1, 4];

/**
 * Sends `fields` (names and values, repeated and out of order as they come) and each of `pieces` as a DATA frame.
 * Resolves to `{ text, reset }`: the body of the answer, or that the other side would not have it.
 */
export function exchangeFrames(port, { fields, pieces = [], seconds = 15 }) {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  const last = pieces.length - 1;
  socket.write(Buffer.concat([
    Buffer.from(PREFACE),
    frame(SETTINGS, 0, 0, Buffer.alloc(0)),
    frame(HEADERS, END_HEADERS | (last < 0 ? END_STREAM : 0), 1, Buffer.concat(fields.map(([name, value]) => literal(name, value)))),
    ...pieces.map((piece, i) => frame(DATA, i === last ? END_STREAM : 0, 1, Buffer.from(piece))),
  ]));
  return new Promise((resolve) => {
    let received = Buffer.alloc(0);
    let text = '';
    let answered = false;
    const done = (reset) => {
      clearTimeout(late);
      socket.destroy();
      resolve({ text, reset: reset && !answered });
    };
    const late = setTimeout(() => done(true), seconds * 1000);
    socket.on('error', () => {});
    socket.once('close', () => done(true));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 9 && received.length >= 9 + received.readUIntBE(0, 3)) {
        const length = received.readUIntBE(0, 3);
        const [type, flags] = [received[3], received[4]];
        if (type === DATA) text += received.subarray(9, 9 + length);
        if (type === HEADERS) answered = true;
        if (type === RST_STREAM || type === GOAWAY) return done(true);
        if ((type === DATA || type === HEADERS) && flags & END_STREAM) return done(false);
        received = received.subarray(9 + length);
      }
      return undefined;
    });
  });
}

function frame(type, flags, stream, payload) {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

// "Literal header field never indexed", RFC 7541 section 6.2.3.
const literal = (name, value) => Buffer.concat([Buffer.from([0x10]), string(name), string(value)]);

function string(text) {
  const bytes = Buffer.from(text, 'latin1');
  return Buffer.concat([integer(bytes.length), bytes]);
}

// RFC 7541 section 5.1, with a prefix of seven bits.
function integer(value) {
  if (value < 127) return Buffer.from([value]);
  const bytes = [127];
  let rest = value - 127;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}
