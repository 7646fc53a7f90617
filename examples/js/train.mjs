// A network with two layers and a ReLU, trained in plain JavaScript. Every value of every step goes into a trace:
//
//     node examples/js/train.mjs run.safetensors float32
//
// tests/foreign/test_js.py certifies it against the same network in NumPy.

import { trace } from "./torch_mirror_trace.mjs";

const [path = "run.safetensors", dtype = "float64"] = process.argv.slice(2);
const Reals = dtype === "float32" ? Float32Array : Float64Array;
const round = dtype === "float32" ? Math.fround : (number) => number; // JavaScript computes in double
const [N, IN, HIDDEN, OUT, STEPS] = [8, 3, 4, 2, 20];
const [lr, momentum] = [round(0.1), round(0.9)];

let state = 1;
function draw() { // from -1 to 1, with 11 bits: the same number in float, double and any language
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return (state >>> 21) / 1024 - 1;
}

const filled = (size) => new Reals(size).map(draw);
const x = filled(N * IN); // [n][i], row by row, as are all others
const t = filled(N * OUT);
const W1 = filled(HIDDEN * IN);
const W2 = filled(OUT * HIDDEN);
const v1 = new Reals(W1.length);
const v2 = new Reals(W2.length);

// A (rows, inner) times B (inner, columns): a(i, k) and b(k, j) are their elements; what Reals keep is rounded
function product(rows, inner, columns, a, b) {
  const c = new Reals(rows * columns);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++)
      for (let k = 0; k < inner; k++) c[i * columns + j] += round(a(i, k) * b(k, j));
  return c;
}
const plain = (A, columns) => (i, j) => A[i * columns + j];
const transposed = (A, columns) => (i, j) => A[j * columns + i];

function forward() {
  const z1 = product(N, IN, HIDDEN, plain(x, IN), transposed(W1, IN));
  const a1 = z1.map((z) => Math.max(z, 0));
  const y = product(N, HIDDEN, OUT, plain(a1, HIDDEN), transposed(W2, HIDDEN));
  let loss = 0;
  y.forEach((value, i) => { loss = round(loss + round(round(value - t[i]) ** 2)); });
  return { z1, a1, y, loss: Reals.of(loss / (N * OUT)) };
}

function backward({ z1, a1, y }) {
  const dy = y.map((value, i) => round(2 * round(value - t[i])) / (N * OUT));
  const dW2 = product(OUT, N, HIDDEN, transposed(dy, OUT), plain(a1, HIDDEN));
  const da1 = product(N, OUT, HIDDEN, plain(dy, OUT), plain(W2, HIDDEN));
  const dz1 = da1.map((d, i) => (z1[i] > 0 ? d : 0));
  const dW1 = product(HIDDEN, N, IN, transposed(dz1, HIDDEN), plain(x, IN));
  return { dy, da1, dz1, dW1, dW2 };
}

function update(W, v, dW) {
  for (let i = 0; i < W.length; i++) {
    v[i] = round(momentum * v[i]) + dW[i];
    W[i] -= round(lr * v[i]);
  }
}

const shapes = {
  z1: [N, HIDDEN], a1: [N, HIDDEN], y: [N, OUT], loss: [],
  dy: [N, OUT], da1: [N, HIDDEN], dz1: [N, HIDDEN], dW1: [HIDDEN, IN], dW2: [OUT, HIDDEN],
};
const run = trace();
function keepWhatMoves() {
  run.put("parameters/W1", W1, [HIDDEN, IN]);
  run.put("parameters/W2", W2, [OUT, HIDDEN]);
  run.put("states/v.W1", v1, [HIDDEN, IN]);
  run.put("states/v.W2", v2, [OUT, HIDDEN]);
}

run.hash("x", x);
run.put("constants/t", t, [N, OUT]);
keepWhatMoves();
for (let step = 0; step < STEPS; step++) {
  const values = forward();
  const gradients = backward(values);
  const all = Object.entries({ ...values, ...gradients });
  for (const [name, value] of all) run.put(`tensors/${name}`, value, shapes[name]);
  update(W1, v1, gradients.dW1);
  update(W2, v2, gradients.dW2);
  keepWhatMoves();
}
run.save(path);
