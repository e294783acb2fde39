// A filter as it was built, but in an Envoy that does not know the function `verify_signature`: it asks for another name.
import { readFileSync, writeFileSync } from 'node:fs';

/** Writes to `to` a copy of the wasm module `from` that asks for `verify_nothing__` in place of `verify_signature`. */
export function writeWasmWithoutVerifySignature(from, to) {
  const module = readFileSync(from);
  const name = 'verify_signature';
  const at = module.indexOf(name);
  if (at < 0 || module.indexOf(name, at + 1) >= 0) throw new Error(`${name} is not in ${from}, or not once`);
  module.write('verify_nothing__', at);
  writeFileSync(to, module);
}
