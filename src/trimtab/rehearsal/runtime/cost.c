/* The time of an operator by a roofline: the longer of moving its bytes and of its arithmetic,
 * plus a latency. A model of a chip, and no measurement of one: see docs/rehearsal.md.
 *
 * TRIMTAB_STANDIN_BANDWIDTH  bytes a second of the device's memory
 * TRIMTAB_STANDIN_FLOPS      floating-point operations a second of its matrix units
 * TRIMTAB_STANDIN_LINK       bytes a second between host and device
 * TRIMTAB_STANDIN_LATENCY    nanoseconds that every operator takes at least
 *
 * The bytes are known from the descriptions of tensors (aclCreateTensor) and integer arrays that a
 * thread makes between two plans.
 */
#include "standin.h"

#include <string.h>

enum { TENSORS = 256, DIMENSIONS = 8, DEVICE_TO_DEVICE = 3 };

struct tensor {
    double elements, bytes, rows; /* rows: of the first two dimensions, in a block-wise cache */
    int64_t last, first;          /* the last dimension, and the first of three or more, else 1 */
    char *data;
};

static _Thread_local struct {
    struct tensor tensors[TENSORS];
    int count;
    double tokens, sequences; /* of the last array: its sum and its length */
} seen;

/* Bytes of an element, by aclDataType. */
static double width(int type)
{
    switch (type) {
    case 2: case 4: case 12: case 34: case 35: case 36:
        return 1; /* int8, uint8, bool, the 8-bit floats */
    case 1: case 6: case 7: case 27:
        return 2; /* float16, int16, uint16, bfloat16 */
    case 9: case 10: case 11: case 16:
        return 8; /* int64, uint64, double, complex64 */
    case 17:
        return 16; /* complex128 */
    case 29:
        return 0.5; /* int4 */
    default:
        return 4;
    }
}

void *aclCreateTensor(const int64_t *dimensions, uint64_t count, int type, const int64_t *strides,
                      int64_t offset, int format, const int64_t *storage, uint64_t storage_count,
                      void *data)
{
    (void)strides, (void)format, (void)storage, (void)storage_count;
    if (seen.count == TENSORS)
        return NULL;
    struct tensor *made = &seen.tensors[seen.count++];
    *made = (struct tensor){.elements = 1, .rows = 1, .last = 1, .first = 1};
    for (uint64_t i = 0; i < count; i++)
        made->elements *= (double)dimensions[i];
    made->bytes = made->elements * width(type);
    made->data = data == NULL ? NULL : (char *)data + (int64_t)((double)offset * width(type));
    if (count > 0)
        made->last = dimensions[count - 1];
    if (count > 2) {
        made->first = dimensions[0];
        made->rows = (double)dimensions[0] * (double)dimensions[1];
    }
    return NULL; /* an opaque handle that is only passed back */
}

void *aclCreateIntArray(const int64_t *values, uint64_t count)
{
    if (count > 0) {
        seen.tokens = 0;
        seen.sequences = (double)count;
        for (uint64_t i = 0; i < count; i++)
            seen.tokens += (double)values[i];
    }
    return NULL;
}

static int has(const char *name, const char *part)
{
    return strstr(name, part) != NULL;
}

/* An attention reads of the cache what its sequences are long (the last array of integers is the
 * lengths of keys and values), and not the whole cache. Where no lengths are given, as many rows
 * as the query has. */
static double attention_bytes(double *operations)
{
    struct tensor *query = &seen.tensors[0];
    double tokens = seen.tokens > 0 ? seen.tokens : query->rows, bytes = 0;
    for (int i = 0; i < seen.count; i++) {
        struct tensor *one = &seen.tensors[i];
        double share = one->rows > tokens ? tokens / one->rows : 1;
        bytes += one->bytes * share;
    }
    double sequences = seen.sequences > 0 ? seen.sequences : 1;
    *operations = 4 * query->elements * tokens / sequences;
    return bytes;
}

/* Gathers and scatters touch as much of their large tensors (a cache, a table) as their small ones
 * hold: the largest are left out, and the others count twice. */
static double sparse_bytes(void)
{
    double most = 0, all = 0, rest = 0;
    for (int i = 0; i < seen.count; i++) {
        all += seen.tensors[i].bytes;
        most = seen.tensors[i].bytes > most ? seen.tensors[i].bytes : most;
    }
    for (int i = 0; i < seen.count; i++)
        rest += seen.tensors[i].bytes < most ? seen.tensors[i].bytes : 0;
    return rest > 0 ? 2 * rest : all;
}

/* rows × K by K × columns, with the second tensor's leading dimension for batches and experts. */
static double matrix_operations(void)
{
    struct tensor *left = &seen.tensors[0], *right = &seen.tensors[1];
    if (seen.count < 2 || left->last == 0 || right->first == 0)
        return 0;
    return 2 * left->elements * right->elements / ((double)left->last * (double)right->first);
}

/* A sampled token is the place of a largest number, and comes back to the host, which looks it up
 * in a vocabulary: it shall be token 0, and not what lies in memory that is used again. */
void standin_clear_result(const char *name)
{
    struct tensor *result = &seen.tensors[seen.count - 1];
    if (seen.count > 0 && has(name, "ArgMax") && result->data != NULL)
        memset(result->data, 0, (size_t)result->bytes);
}

void standin_forget(void)
{
    seen.count = 0;
    seen.tokens = seen.sequences = 0;
}

int64_t standin_cost(const char *name)
{
    double bytes = 0, operations = 0;
    if (seen.count > 0 && has(name, "Attention"))
        bytes = attention_bytes(&operations);
    else if (has(name, "Scatter") || has(name, "Cache") || has(name, "Gather") ||
             has(name, "Index") || has(name, "Embedding"))
        bytes = sparse_bytes();
    else
        for (int i = 0; i < seen.count; i++)
            bytes += seen.tensors[i].bytes;
    if (has(name, "Matmul") || has(name, "MatMul") || has(name, "aclnnMm") || has(name, "Addmm"))
        operations = matrix_operations();
    standin_forget();
    double moving = bytes / (double)standin_number("BANDWIDTH", 1600000000000LL);
    double computing = operations / (double)standin_number("FLOPS", 294900000000000LL);
    return (int64_t)((moving > computing ? moving : computing) * 1e9) +
           standin_number("LATENCY", 2000);
}

int64_t standin_copy_cost(size_t bytes, int kind)
{
    double across = (double)bytes / (double)standin_number("LINK", 24000000000LL);
    double within = 2.0 * (double)bytes / (double)standin_number("BANDWIDTH", 1600000000000LL);
    return (int64_t)((kind == DEVICE_TO_DEVICE ? within : across) * 1e9) +
           standin_number("LATENCY", 2000);
}
