/* HCCL: communicators that exist, and collectives that move nothing.
 *
 * torch_npu compares communicators with NULL, asks for their names to address a group by, and its
 * watchdog asks for errors. The root's information is passed to the other ranks as it is.
 */
#include "standin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROOT_BYTES = 4108, NAME_BYTES = 128 };

struct communicator {
    char name[NAME_BYTES];
    uint32_t rank, ranks;
};

static _Atomic int numbers;

aclError HcclGetRootInfo(char *root)
{
    memset(root, 0, ROOT_BYTES);
    snprintf(root, ROOT_BYTES, "stand-in_%d_%d", (int)getpid(), ++numbers);
    return standin_fault("HcclGetRootInfo");
}

static aclError make(const char *name, uint32_t rank, uint32_t ranks, void **made)
{
    struct communicator *one = calloc(1, sizeof *one);
    if (one == NULL)
        return ERROR_MEMORY_ALLOCATION;
    snprintf(one->name, sizeof one->name, "%.100s", name);
    one->rank = rank;
    one->ranks = ranks;
    *made = one;
    return standin_fault("HcclCommInit");
}

aclError HcclCommInitRootInfo(uint32_t ranks, const char *root, uint32_t rank, void **made)
{
    return make(root, rank, ranks, made);
}

aclError HcclCommInitRootInfoConfig(uint32_t ranks, const char *root, uint32_t rank,
                                    const void *configuration, void **made)
{
    (void)configuration;
    return make(root, rank, ranks, made);
}

aclError HcclCommInitClusterInfoConfig(const char *file, uint32_t rank, const void *configuration,
                                       void **made)
{
    (void)configuration;
    return make(file, rank, 0, made);
}

aclError HcclCreateSubCommConfig(void **whole, uint32_t ranks, uint32_t *members, uint64_t number,
                                 uint32_t rank, const void *configuration, void **made)
{
    char name[NAME_BYTES];
    (void)members;
    (void)configuration;
    struct communicator *parent = *whole;
    snprintf(name, sizeof name, "%.80s_%llu", parent->name, (unsigned long long)number);
    return make(name, rank, ranks, made);
}

aclError HcclGetCommName(void *communicator, char *name)
{
    snprintf(name, NAME_BYTES, "%s", ((struct communicator *)communicator)->name);
    return OK;
}

aclError HcclGetCommAsyncError(void *communicator, int *error)
{
    (void)communicator;
    *error = OK;
    return OK;
}

aclError HcclCommDestroy(void *communicator)
{
    free(communicator);
    return OK;
}
