// A trace for torch-mirror in JavaScript: a .safetensors file that torch_mirror.certify judges. Schema: docs/traces.md.
//
//     const run = trace();
//     run.put("constants/t", t, [8, 2]);         // data, once: a Float64Array or Float32Array, and its shape
//     run.hash("x", x);                          // or by hash alone, where the judge has the same data
//     run.put("parameters/W1", W1, [4, 3]);      // before the first step, and after each
//     run.put("tensors/dW1", dW1, [4, 3]);       // in each step
//     run.save("run.safetensors");
//
// put copies the numbers as they are at that moment.

import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { endianness } from "node:os";

const DTYPES = new Map([
  [Float64Array, "F64"], [Float32Array, "F32"], [BigInt64Array, "I64"], [Int32Array, "I32"], [Uint8Array, "U8"],
]);
const stacked = (name) => /^(parameters|states|tensors)\//.test(name); // a row a step; all others are there once
const bytes = (a) => Buffer.from(a.buffer, a.byteOffset, a.byteLength);

export function trace() {
  const arrays = new Map();

  function put(name, a, shape) {
    const dtype = DTYPES.get(a.constructor);
    const known = arrays.get(name) ?? { dtype, shape, rows: [] };
    const size = shape.reduce((m, n) => m * n, 1);
    if (!dtype) throw new TypeError(`${name}: expected one of ${[...DTYPES.values()]}, got ${a.constructor.name}`);
    if (a.length !== size) throw new RangeError(`${name}: ${a.length} numbers for ${shape}`);
    if (known.dtype !== dtype || String(known.shape) !== String(shape)) throw new RangeError(`${name}: another shape`);
    if (known.rows.length && !stacked(name)) throw new RangeError(`${name}: a constant twice`);
    known.rows.push(Buffer.from(bytes(a))); // a copy
    arrays.set(name, known);
  }

  function hash(name, a) {
    put(`hashes/${name}`, new Uint8Array(createHash("sha256").update(bytes(a)).digest()), [32]);
  }

  function save(path) {
    if (endianness() !== "LE") throw new Error("this machine's highest bytes come first: swap them");
    const start = [...arrays].find(([name]) => name.startsWith("parameters/"));
    const steps = start ? start[1].rows.length - 1 : 0;
    const place = { dtype: "I64", shape: [2], rows: [bytes(BigInt64Array.of(BigInt(steps), 0n))] }; // steps, first
    const all = [["__torch_mirror__", place], ...arrays];
    const header = {};
    let end = 0;
    for (const [name, { dtype, shape, rows }] of all) {
      const begin = end;
      end += rows.reduce((sum, row) => sum + row.length, 0);
      header[name] = { dtype, shape: stacked(name) ? [rows.length, ...shape] : shape, data_offsets: [begin, end] };
    }
    const text = Buffer.from(JSON.stringify(header));
    const length = bytes(BigUint64Array.of(BigInt(text.length)));
    writeFileSync(path, Buffer.concat([length, text, ...all.flatMap(([, { rows }]) => rows)]));
  }

  return { put, hash, save };
}
