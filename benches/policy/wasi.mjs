// Runs a WebAssembly program in V8, the engine of Envoy: node wasi.mjs PROGRAM.wasm [ARGUMENT…]
import {readFile} from 'node:fs/promises';
import {WASI} from 'node:wasi';

const [program, ...more] = process.argv.slice(2);
const wasi = new WASI({version: 'preview1', args: [program, ...more], returnOnExit: true});
const module = await WebAssembly.compile(await readFile(program));
// The proxy's functions, which nothing here calls.
const imports = wasi.getImportObject();
for (const {module: from, name} of WebAssembly.Module.imports(module)) {
  imports[from] ??= {};
  imports[from][name] ??= () => { throw new Error(`${from}.${name} was called`); };
}
const {exports} = await WebAssembly.instantiate(module, imports);
// Node refuses a program that has the entry point of a library too, as the filter's code has.
const {_start, memory} = exports;
process.exitCode = wasi.start({exports: {_start, memory}});
