/* The time of an operator by a roofline: the longer of moving its bytes and of its arithmetic,
 * plus a latency. A model of a chip, and no measurement of one: see docs/emulator.md.
 *
 * TRIMTAB_STANDIN_BANDWIDTH  bytes a second of the device's memory
 * TRIMTAB_STANDIN_FLOPS      floating-point operations a second of its matrix units
 * TRIMTAB_STANDIN_LINK       bytes a second between host and device
 * TRIMTAB_STANDIN_LATENCY    nanoseconds that every operator takes at least
 */
#include "standin.h"
#include "tensors.h"

#include <string.h>

enum { DEVICE_TO_DEVICE = 3 };

static int has(const char *name, const char *part)
{
    return strstr(name, part) != NULL;
}

/* An attention reads of the cache what its sequences are long, and not the whole cache: the second
 * array of integers is the lengths of keys and values, the first those of the queries. Where there
 * is none, as many rows as the query has. */
static double attention_bytes(const struct described *seen, double *operations)
{
    const struct tensor *query = standin_tensor(seen, 0);
    struct array lengths = {query->rows, 1};
    if (seen->array_count > 0)
        lengths = *standin_array(seen, seen->array_count > 1 ? 1 : 0);
    double bytes = 0;
    for (int i = 0; i < seen->count; i++) {
        const struct tensor *one = &seen->tensors[i];
        bytes += one->rows > lengths.sum ? one->bytes * lengths.sum / one->rows : one->bytes;
    }
    *operations = 4 * query->elements * lengths.sum / lengths.count;
    return bytes;
}

/* Gathers and scatters touch as much of their large tensors (a cache, a table) as their small ones
 * hold: the largest are left out, and the others count twice. */
static double sparse_bytes(const struct described *seen)
{
    double most = 0, all = 0, rest = 0;
    for (int i = 0; i < seen->count; i++) {
        all += seen->tensors[i].bytes;
        most = seen->tensors[i].bytes > most ? seen->tensors[i].bytes : most;
    }
    for (int i = 0; i < seen->count; i++)
        rest += seen->tensors[i].bytes < most ? seen->tensors[i].bytes : 0;
    return rest > 0 ? 2 * rest : all;
}

static double dense_bytes(const struct described *seen)
{
    double bytes = 0;
    for (int i = 0; i < seen->count; i++)
        bytes += seen->tensors[i].bytes;
    return bytes;
}

/* rows × K by K × columns, with the second tensor's leading dimension for batches and experts. */
static double matrix_operations(const struct described *seen)
{
    if (seen->count < 2)
        return 0;
    const struct tensor *left = standin_tensor(seen, 0), *right = standin_tensor(seen, 1);
    if (left->last == 0 || right->first == 0)
        return 0;
    return 2 * left->elements * right->elements / ((double)left->last * (double)right->first);
}

static int is_sparse(const char *name)
{
    return has(name, "Scatter") || has(name, "Cache") || has(name, "Gather") ||
           has(name, "Index") || has(name, "Embedding");
}

static int is_product(const char *name)
{
    return has(name, "Matmul") || has(name, "MatMul") || has(name, "aclnnMm") ||
           has(name, "Addmm");
}

int64_t standin_cost(const char *name)
{
    const struct described *seen = standin_described();
    double bytes, operations = 0;
    if (seen->count > 0 && has(name, "Attention"))
        bytes = attention_bytes(seen, &operations);
    else
        bytes = is_sparse(name) ? sparse_bytes(seen) : dense_bytes(seen);
    if (is_product(name))
        operations = matrix_operations(seen);
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
