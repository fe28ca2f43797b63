/* The tensors and arrays of integers that a thread describes between two plans (tensors.c). */
#ifndef TRIMTAB_STANDIN_TENSORS_H
#define TRIMTAB_STANDIN_TENSORS_H

#include <stdint.h>

enum { TENSORS = 256, ARRAYS = 4, DIMENSIONS = 8 };

struct tensor {
    double elements, bytes;
    double rows;   /* the first two dimensions' product: the tokens of a cache in blocks; else 1 */
    int64_t last;  /* the last dimension */
    int64_t first; /* the first of three dimensions or more: batches, experts; else 1 */
    char *data;
    int type, dimension_count;
    int64_t dimensions[DIMENSIONS];
};

struct array {
    double sum, count;
};

struct described {
    struct tensor tensors[TENSORS];
    struct array arrays[ARRAYS];
    int count, array_count, is_backwards;
};

struct described *standin_described(void);

/* The i-th in the order of the operator's parameters, once standin_order has run. */
const struct tensor *standin_tensor(const struct described *seen, int i);
const struct array *standin_array(const struct described *seen, int i);
void standin_order(const void *first_parameter);
void standin_set_result(const char *name);
void standin_forget(void);

#endif
