"""What runs in the process of a `script` in JavaScript, under Node.

The code is the body of an async function, so it may `await`; `require` finds
modules from the working folder on.  Values cross as JSON: whole numbers
beyond 2^53 lose digits, as everywhere in JavaScript.
"""

from __future__ import annotations

from typing import Final

BOOT: Final = r"""
'use strict';
const fs = require('fs'), path = require('path');
const [gate, source, result] = process.argv.slice(-3).map(Number);
if (!fs.readSync(gate, Buffer.alloc(1))) process.exit(125);
fs.closeSync(gate);
const given = JSON.parse(fs.readFileSync(source, 'utf8'));
fs.closeSync(source);
let told = false;
function tell(outcome) {
  if (told) return;
  told = true;
  let data = Buffer.from(JSON.stringify(outcome));
  while (data.length) data = data.subarray(fs.writeSync(result, data));
  fs.closeSync(result);
  // what was printed is on its way first
  process.stdout.write('', () => process.stderr.write('', () => process.exit(0)));
}
function failed(error) {
  const known = error instanceof Error || (error !== null && typeof error === 'object' && 'message' in error);
  const name = known ? String(error.name || 'Error') : 'thrown';
  const message = known ? String(error.message) : 'thrown: ' + String(error);
  const kind = 'javascript.' + (name.replace(/[^A-Za-z0-9_]/g, '') || 'Error');
  tell(['failed', kind, message.slice(0, 10000), null, null, known ? String(error.stack).slice(0, 50000) : null]);
}
process.on('uncaughtException', failed);
process.on('unhandledRejection', failed);
(async () => {
  const here = require('module').createRequire(path.join(process.cwd(), 'script.js'));
  const names = Object.keys(given.args);
  const AsyncFunction = (async () => {}).constructor;
  const script = new AsyncFunction('require', ...names, given.code + '\n//# sourceURL=' + given.file);
  const value = await script(here, ...names.map((name) => given.args[name]));
  let written;
  try {
    written = JSON.stringify(value === undefined ? null : value);
    if (written === undefined) throw new TypeError('a ' + typeof value);
  } catch (error) {
    tell(['failed', 'output.type', '$: ' + error.message + ' is no value that a flow can hold', null, null, null]);
    return;
  }
  tell(['value', JSON.parse(written)]);
})().catch(failed);
"""
