/* A network with two layers and a ReLU, trained in plain C. Every value of every step goes into a trace:

       gcc -O2 -DREAL=float examples/c/train.c -o train && ./train run.safetensors

   tests/foreign/test_c.py certifies it against the same network in NumPy. */
#include "torch_mirror_trace.h"

#ifndef REAL
#define REAL double
#endif
typedef REAL real;
enum { N = 8, IN = 3, HIDDEN = 4, OUT = 2, STEPS = 20 };

static real x[N][IN], t[N][OUT], W1[HIDDEN][IN], W2[OUT][HIDDEN], v1[HIDDEN][IN], v2[OUT][HIDDEN];
static real z1[N][HIDDEN], a1[N][HIDDEN], y[N][OUT], loss;
static real dy[N][OUT], dW2[OUT][HIDDEN], da1[N][HIDDEN], dz1[N][HIDDEN], dW1[HIDDEN][IN];
static const real lr = (real)0.1, momentum = (real)0.9;
static tm_trace run;

#define ROWS(a) (int)(sizeof(a) / sizeof(a)[0])
#define COLUMNS(a) (int)(sizeof(a)[0] / sizeof(real))
#define PUT(name, a) tm_put(&run, name, TM_REAL(real), a, 2, ROWS(a), COLUMNS(a))

static real draw(void) { /* from -1 to 1, with 11 bits: the same number in float, double and any language */
    static uint32_t state = 1;
    state = state * 1664525u + 1013904223u;
    return (real)(state >> 21) / 1024 - 1;
}

static void fill(real *a, int size) {
    for (int i = 0; i < size; i++) a[i] = draw();
}

static void forward(void) {
    loss = 0;
    for (int n = 0; n < N; n++) {
        for (int h = 0; h < HIDDEN; h++) {
            z1[n][h] = 0;
            for (int i = 0; i < IN; i++) z1[n][h] += x[n][i] * W1[h][i];
            a1[n][h] = z1[n][h] > 0 ? z1[n][h] : 0;
        }
        for (int o = 0; o < OUT; o++) {
            y[n][o] = 0;
            for (int h = 0; h < HIDDEN; h++) y[n][o] += a1[n][h] * W2[o][h];
            loss += (y[n][o] - t[n][o]) * (y[n][o] - t[n][o]);
        }
    }
    loss /= N * OUT;
}

static void backward(void) {
    memset(dW1, 0, sizeof dW1), memset(dW2, 0, sizeof dW2);
    for (int n = 0; n < N; n++) {
        for (int o = 0; o < OUT; o++) dy[n][o] = 2 * (y[n][o] - t[n][o]) / (N * OUT);
        for (int h = 0; h < HIDDEN; h++) {
            da1[n][h] = 0;
            for (int o = 0; o < OUT; o++) {
                dW2[o][h] += dy[n][o] * a1[n][h];
                da1[n][h] += dy[n][o] * W2[o][h];
            }
            dz1[n][h] = z1[n][h] > 0 ? da1[n][h] : 0;
            for (int i = 0; i < IN; i++) dW1[h][i] += dz1[n][h] * x[n][i];
        }
    }
}

static void update(real *W, real *v, const real *dW, int size) {
    for (int i = 0; i < size; i++) {
        v[i] = momentum * v[i] + dW[i];
        W[i] -= lr * v[i];
    }
}

static void keep_what_moves(void) {
    PUT("parameters/W1", W1), PUT("parameters/W2", W2), PUT("states/v.W1", v1), PUT("states/v.W2", v2);
}

int main(int count, char **arguments) {
    fill(&x[0][0], N * IN), fill(&t[0][0], N * OUT), fill(&W1[0][0], HIDDEN * IN), fill(&W2[0][0], OUT * HIDDEN);
    PUT("constants/x", x), PUT("constants/t", t);
    keep_what_moves();
    for (int step = 0; step < STEPS; step++) {
        forward();
        backward();
        PUT("tensors/z1", z1), PUT("tensors/a1", a1), PUT("tensors/y", y), PUT("tensors/dy", dy);
        PUT("tensors/da1", da1), PUT("tensors/dz1", dz1), PUT("tensors/dW1", dW1), PUT("tensors/dW2", dW2);
        tm_put(&run, "tensors/loss", TM_REAL(real), &loss, 0); /* one number: no axis */
        update(&W1[0][0], &v1[0][0], &dW1[0][0], HIDDEN * IN);
        update(&W2[0][0], &v2[0][0], &dW2[0][0], OUT * HIDDEN);
        keep_what_moves();
    }
    const char *path = count > 1 ? arguments[1] : "run.safetensors";
    if (tm_save(&run, path)) fprintf(stderr, "%s: %s\n", path, run.failed);
    return run.failed != NULL;
}
