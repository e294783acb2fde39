// The filter as it was built, but for one thing: it traps in the middle of a response.
import { readFileSync, writeFileSync } from 'node:fs';

const [IMPORTS, EXPORTS, CODE] = [2, 7, 10];
const LARGE = 4096;

/**
 * Writes to `to` a copy of the wasm module `from`, whose callback for a response's body executes `unreachable` when the chunk is
 * longer than 4096 bytes: `proxy_on_response_body(context, size, end)`, WebAssembly core specification section 5.
 */
export function writeTrappingWasm(from, to) {
  const module = readFileSync(from);
  const sections = [...readSections(module)];
  const of = (wanted) => sections.find(({ id }) => id === wanted);
  const index = exportedFunction(new Reader(of(EXPORTS).content), 'proxy_on_response_body') - importedFunctions(new Reader(of(IMPORTS).content));
  // local.get 1, i32.const 4096, i32.gt_u, if, unreachable, end
  const trap = Buffer.from([0x20, 1, 0x41, ...signed(LARGE), 0x4b, 0x04, 0x40, 0x00, 0x0b]);
  const parts = sections.flatMap(({ id, content }) => {
    const changed = id === CODE ? withPrologue(new Reader(content), index, trap) : content;
    return [Buffer.from([id]), unsigned(changed.length), changed];
  });
  writeFileSync(to, Buffer.concat([module.subarray(0, 8), ...parts]));
}

class Reader {
  at = 0;

  constructor(bytes) { this.bytes = bytes; }

  byte() { return this.bytes[this.at++]; }

  take(length) { return this.bytes.subarray(this.at, this.at += length); }

  number() {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }

  name() { return this.take(this.number()).toString(); }
}

function* readSections(module) {
  const reader = new Reader(module);
  for (reader.take(8); reader.at < module.length;) {
    const id = reader.byte();
    yield { id, content: reader.take(reader.number()) };
  }
}

function exportedFunction(reader, wanted) {
  for (let left = reader.number(); left > 0; left -= 1) {
    const [name, kind, index] = [reader.name(), reader.byte(), reader.number()];
    if (kind === 0 && name === wanted) return index;
  }
  throw new Error(`no export ${wanted}`);
}

/** How many of the imports are functions; this module imports nothing else. */
function importedFunctions(reader) {
  const count = reader.number();
  for (let left = count; left > 0; left -= 1) {
    const [module, name, kind] = [reader.name(), reader.name(), reader.byte()];
    if (kind !== 0) throw new Error(`${module}.${name} is no function`);
    reader.number();
  }
  return count;
}

/** The code section with `prologue` put before the instructions of one function. */
function withPrologue(reader, wanted, prologue) {
  const count = reader.number();
  const bodies = Array.from({ length: count }, (_, index) => {
    const body = reader.take(reader.number());
    if (index !== wanted) return body;
    const locals = new Reader(body);
    for (let left = locals.number(); left > 0; left -= 1) [locals.number(), locals.byte()];
    return Buffer.concat([body.subarray(0, locals.at), prologue, body.subarray(locals.at)]);
  });
  return Buffer.concat([unsigned(count), ...bodies.flatMap((body) => [unsigned(body.length), body])]);
}

// LEB128 (core specification section 5.2.2).
function unsigned(value) {
  const bytes = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) + 128);
  }
}

/** Of a number that is not negative: its last byte must not look as if it were. */
function signed(value) {
  const bytes = [...unsigned(value)];
  return bytes.at(-1) < 0x40 ? bytes : [...bytes.slice(0, -1), bytes.at(-1) + 0x80, 0];
}
