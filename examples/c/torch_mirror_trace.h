/* A trace for torch-mirror in C99: a .safetensors file that torch_mirror.certify judges. The schema: docs/traces.md.

       static tm_trace run;                                                // zeros: nothing is recorded yet
       tm_put(&run, "constants/x", TM_REAL(double), x, 2, 8, 3);           // data, once: 2 axes, 8 x 3
       tm_put(&run, "parameters/W1", TM_REAL(double), W1, 2, 4, 3);        // before the first step, and after each
       tm_put(&run, "tensors/dW1", TM_REAL(double), dW1, 2, 4, 3);         // in each step
       if (tm_save(&run, "run.safetensors")) return 1;                     // not 0: nothing good was written
   tm_put copies the numbers as they are at that moment. What goes wrong stays in run.failed, in words. */
#pragma once
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define TM_REAL(real) (sizeof(real) == 4 ? "F32" : "F64")
#define TM_STACKED(name) strspn(name, "pst") /* parameters, states, tensors have a row a step; all else is there once */
typedef struct { char name[64], dtype[8], *data; int shape[9]; size_t row, rows; } tm_array; /* how many axes, each */
typedef struct { tm_array arrays[128]; int count; const char *failed; } tm_trace;

/* One row more. dtype: F64, F32, I64, U8 ..., behind whose letter the bits stand; then the axes, each an int. */
static void tm_put(tm_trace *run, const char *name, const char *dtype, const void *data, int axes, ...) {
    tm_array one = {.shape = {axes}, .row = (size_t)atoi(dtype + 1) / 8}, *a = run->arrays, *end = a + run->count;
    va_list sizes;
    va_start(sizes, axes);
    for (int k = 1; k <= axes && k <= 8; k++) one.row *= (size_t)(one.shape[k] = va_arg(sizes, int));
    va_end(sizes);
    while (a < end && strcmp(a->name, name)) a++;
    if (a == run->arrays + 128 || axes > 8 || strlen(name) > 63 || strpbrk(name, "\"\\") || strlen(dtype) > 7)
        run->failed = "too many arrays or axes, or an odd name";
    else if (a == end) *a = one, strcpy(a->name, name), strcpy(a->dtype, dtype), run->count++;
    else if (!TM_STACKED(name) || strcmp(a->dtype, dtype) || memcmp(a->shape, one.shape, sizeof one.shape))
        run->failed = "a row of another shape than before, or a constant twice";
    char *room = run->failed ? NULL : realloc(a->data, (a->rows + 1) * a->row + 1); /* + 1: no size is 0 */
    if (room) memcpy((a->data = room) + a->rows++ * a->row, data, a->row);
    else if (!run->failed) run->failed = "no memory";
}

/* Write the file: how long its header is, the header (JSON), the numbers. Returns 0, or 1 where that failed. */
static int tm_save(tm_trace *run, const char *path) {
    int64_t place[2] = {0, 0}, length = 1; /* how many steps, and the number of the first */
    for (int i = 0; i < run->count; i++) if (*run->arrays[i].name == 'p') place[0] = (int64_t)run->arrays[i].rows - 1;
    tm_put(run, "__torch_mirror__", "I64", place, 1, 2);
    if (*(char *)&length != 1) run->failed = "this machine's highest bytes come first: swap them";
    FILE *file = run->failed ? NULL : fopen(path, "wb");
    if (!file) return run->failed = run->failed ? run->failed : "the file cannot be written", 1;
    fwrite("\0\0\0\0\0\0\0", 8, 1, file); /* the length comes last, so that no half a file is taken for a whole one */
    tm_array *a = run->arrays, *end = a + run->count;
    for (size_t at = 0; a < end; at += a->rows * a->row, a++) {
        fprintf(file, "%c\"%s\":{\"dtype\":\"%s\",\"shape\":[", a == run->arrays ? '{' : ',', a->name, a->dtype);
        if (TM_STACKED(a->name)) fprintf(file, "%zu%s", a->rows, *a->shape ? "," : "");
        for (int k = 1; k <= *a->shape; k++) fprintf(file, "%s%d", k > 1 ? "," : "", a->shape[k]);
        fprintf(file, "],\"data_offsets\":[%zu,%zu]}", at, at + a->rows * a->row);
    }
    length = fputs("}", file) < 0 ? 0 : ftell(file) - 8;
    for (a = run->arrays; a < end; free(a++->data)) fwrite(a->data, a->row, a->rows, file);
    int bad = fseek(file, 0, SEEK_SET) || !fwrite(&length, 8, 1, file) || ferror(file);
    memset(run, 0, sizeof *run); /* ready for another run */
    if (fclose(file) || bad) run->failed = "the file cannot be written whole";
    return run->failed != NULL;
}
