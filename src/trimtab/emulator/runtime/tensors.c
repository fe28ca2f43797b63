/* What a caller tells about an operator before it plans it: its tensors, its arrays of integers.
 *
 * Handles are addresses of our records, so that a plan's first parameter can be recognised: a
 * compiler may evaluate the parameters of a call from the last to the first, and torch_npu's does.
 */
#include "tensors.h"
#include "standin.h"

#include <stdlib.h>
#include <string.h>

enum { SMALL = 4096, INT32 = 3, INT64 = 9 };

static _Thread_local struct described seen;

struct described *standin_described(void)
{
    return &seen;
}

void standin_forget(void)
{
    seen.count = seen.array_count = 0;
}

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
    *made = (struct tensor){.elements = 1, .rows = 1, .last = 1, .first = 1, .type = type};
    for (uint64_t i = 0; i < count; i++) {
        made->elements *= (double)dimensions[i];
        if (i < DIMENSIONS)
            made->dimensions[made->dimension_count++] = dimensions[i];
    }
    made->bytes = made->elements * width(type);
    if (data != NULL)
        made->data = (char *)data + (int64_t)((double)offset * width(type));
    if (count > 0)
        made->last = dimensions[count - 1];
    if (count > 2) {
        made->first = dimensions[0];
        made->rows = (double)dimensions[0] * (double)dimensions[1];
    }
    return made;
}

/* A list stands for its first tensor. */
void *aclCreateTensorList(void *const *tensors, uint64_t count)
{
    return count == 0 ? NULL : tensors[0];
}

void *aclCreateIntArray(const int64_t *values, uint64_t count)
{
    if (count == 0 || seen.array_count == ARRAYS)
        return NULL;
    struct array *made = &seen.arrays[seen.array_count++];
    *made = (struct array){.count = (double)count};
    for (uint64_t i = 0; i < count; i++)
        made->sum += (double)values[i];
    return made;
}

void standin_order(const void *first_parameter)
{
    seen.is_backwards = seen.count > 1 && first_parameter != &seen.tensors[0];
}

const struct tensor *standin_tensor(const struct described *from, int i)
{
    return &from->tensors[from->is_backwards ? from->count - 1 - i : i];
}

const struct array *standin_array(const struct described *from, int i)
{
    return &from->arrays[from->is_backwards ? from->array_count - 1 - i : i];
}

/* The shape of a result that depends on numbers (the places that are not zero): nothing is
 * computed, and it keeps the shape that there was room for. The caller frees the shape. */
aclError aclGetViewShape(const struct tensor *tensor, int64_t **dimensions, uint64_t *count)
{
    *count = tensor == NULL ? 0 : (uint64_t)tensor->dimension_count;
    *dimensions = malloc(sizeof tensor->dimensions);
    if (*dimensions == NULL)
        return ERROR_MEMORY_ALLOCATION;
    if (tensor != NULL)
        memcpy(*dimensions, tensor->dimensions, sizeof tensor->dimensions);
    return OK;
}

static int is_small_integers(const struct tensor *one)
{
    return one->data != NULL && one->bytes <= SMALL && (one->type == INT32 || one->type == INT64);
}

static void set(const struct tensor *one, int i, int64_t value)
{
    if (one->type == INT64)
        ((int64_t *)one->data)[i] = value;
    else
        ((int32_t *)one->data)[i] = (int32_t)value;
}

static int64_t get(const struct tensor *one, int i)
{
    return one->type == INT64 ? ((int64_t *)one->data)[i] : ((int32_t *)one->data)[i];
}

/* TRIMTAB_STANDIN_TOKEN where there are so many places (a vocabulary), else 0. */
static void choose(const struct tensor *scores, const struct tensor *chosen)
{
    int64_t token = standin_number("TOKEN", 64);
    for (int i = 0; i < (int)chosen->elements; i++)
        set(chosen, i, scores->last > token ? token : 0);
}

static void copy(const struct tensor *to, const struct tensor *from)
{
    int same = is_small_integers(from) && from->elements == to->elements;
    for (int i = 0; i < (int)to->elements; i++)
        set(to, i, same ? get(from, i) : 0);
}

/* A sampled token is the place of a largest number, then copied into narrower integers, and read by
 * the host, which looks it up in a vocabulary: it shall be a token of every vocabulary that shows
 * as text, and not what lies in memory that is used again. */
void standin_set_result(const char *name)
{
    if (seen.count < 2)
        return;
    const struct tensor *first = standin_tensor(&seen, 0);
    const struct tensor *last = standin_tensor(&seen, seen.count - 1);
    if (strstr(name, "ArgMax") != NULL && is_small_integers(last))
        choose(first, last);
    else if (strcmp(name, "aclnnInplaceCopy") == 0 && is_small_integers(first))
        copy(first, last);
}
