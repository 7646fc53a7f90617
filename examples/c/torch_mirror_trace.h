/* A trace for torch-mirror in C99: a .safetensors file that torch_mirror.certify judges. The schema: docs/traces.md.

       static tm_trace run;                                                // zeros: nothing is recorded yet
       tm_put(&run, "constants/x", TM_REAL(double), x, 2, 8, 3);           // data, once: 2 axes, 8 x 3
       tm_put(&run, "parameters/W1", TM_REAL(double), W1, 2, 4, 3);        // before the first step, and after each
       tm_put(&run, "tensors/dW1", TM_REAL(double), dW1, 2, 4, 3);         // in each step
       if (tm_save(&run, "run.safetensors")) return 1;                     // not 0: nothing good was written

   tm_put copies the numbers as they are at that moment. What goes wrong stays in run.failed, in words. */
#ifndef TORCH_MIRROR_TRACE_H
#define TORCH_MIRROR_TRACE_H
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TM_MOST 128
#define TM_REAL(real) (sizeof(real) == 4 ? "F32" : "F64")

typedef struct { char name[64], dtype[8], shape[64]; char *data; size_t row, rows; } tm_array; /* row: in bytes */
typedef struct { tm_array arrays[TM_MOST]; int count; const char *failed; } tm_trace;

static int tm_stacked(const char *name) { /* a row a step; constants, hashes and names are there once */
    return !strncmp(name, "parameters/", 11) || !strncmp(name, "states/", 7) || !strncmp(name, "tensors/", 8);
}

/* One row more. dtype: F64, F32, I64, U8 ..., behind whose letter the bits stand; then the axes, each an int. */
static void tm_put(tm_trace *run, const char *name, const char *dtype, const void *data, int axes, ...) {
    char shape[64] = "";
    size_t row = (size_t)atoi(dtype + 1) / 8, length = 0;
    va_list sizes;
    va_start(sizes, axes);
    for (int i = 0; i < axes && length < sizeof shape; i++) {
        int size = va_arg(sizes, int);
        row *= (size_t)size;
        length += (size_t)snprintf(shape + length, sizeof shape - length, "%s%d", i ? "," : "", size);
    }
    va_end(sizes);
    int i = 0;
    while (i < run->count && strcmp(run->arrays[i].name, name)) i++;
    tm_array *a = &run->arrays[i];
    if (i == TM_MOST || strlen(name) > 63 || strpbrk(name, "\"\\") || strlen(dtype) > 7 || length > 63)
        run->failed = "too many arrays or axes, or an odd name";
    else if (i < run->count && (strcmp(a->dtype, dtype) || strcmp(a->shape, shape) || !tm_stacked(name)))
        run->failed = "a row of another shape than before, or a constant twice";
    if (run->failed) return;
    if (i == run->count) {
        strcpy(a->name, name), strcpy(a->dtype, dtype), strcpy(a->shape, shape);
        a->row = row, run->count++;
    }
    if (!(a->rows & (a->rows - 1))) { /* 0, 1, 2, 4, 8 ... rows fill the room */
        char *room = realloc(a->data, (a->rows ? 2 * a->rows : 1) * row + 1);
        if (!room) { run->failed = "no memory"; return; }
        a->data = room;
    }
    memcpy(a->data + a->rows++ * row, data, row);
}

/* Write the file: how long its header is, the header (JSON), the numbers. Returns 0, or 1 where that failed. */
static int tm_save(tm_trace *run, const char *path) {
    const uint16_t one = 1;
    int64_t place[2] = {0, 0}; /* how many steps, and the number of the first */
    for (int i = 0; i < run->count; i++)
        if (!strncmp(run->arrays[i].name, "parameters/", 11)) place[0] = (int64_t)run->arrays[i].rows - 1;
    tm_put(run, "__torch_mirror__", "I64", place, 1, 2);
    char *header = malloc(256 * (size_t)TM_MOST), *end = header;
    if (!run->failed && !header) run->failed = "no memory";
    if (!run->failed && *(const char *)&one != 1) run->failed = "this machine's highest bytes come first: swap them";
    FILE *file = run->failed ? NULL : fopen(path, "wb");
    if (!run->failed && !file) run->failed = "the file cannot be written";
    if (run->failed) return free(header), 1;
    size_t at = 0;
    for (int i = 0; i < run->count; i++) {
        const tm_array *a = &run->arrays[i];
        end += sprintf(end, "%c\"%s\":{\"dtype\":\"%s\",\"shape\":[", i ? ',' : '{', a->name, a->dtype);
        if (tm_stacked(a->name)) end += sprintf(end, "%zu%s", a->rows, *a->shape ? "," : "");
        end += sprintf(end, "%s],\"data_offsets\":[%zu,%zu]}", a->shape, at, at + a->rows * a->row);
        at += a->rows * a->row;
    }
    end += sprintf(end, "}");
    uint64_t length = (uint64_t)(end - header);
    int good = fwrite(&length, 8, 1, file) == 1 && fwrite(header, 1, length, file) == length;
    for (int i = 0; i < run->count; i++) {
        const tm_array *a = &run->arrays[i];
        good = fwrite(a->data, 1, a->rows * a->row, file) == a->rows * a->row && good;
        free(a->data);
    }
    free(header);
    memset(run, 0, sizeof *run); /* ready for another run */
    if (fclose(file) || !good) run->failed = "the file cannot be written whole";
    return run->failed != NULL;
}
#endif
