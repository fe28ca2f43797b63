/* Memory: host memory stands for the device's, mapped and never touched until it is used.
 *
 * TRIMTAB_STANDIN_MEMORY  bytes of a device, of which 256 MiB are in use from the start, as on a
 *                         device whose driver is loaded. vLLM sizes its KV cache by what is free,
 *                         so that free memory must fall as memory is taken.
 *
 * Pages come from the kernel zeroed, so that a tensor that no operator has filled holds zeros:
 * sampled tokens are token 0, and indices are in range.
 */
#include "standin.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096UL

static _Atomic size_t used = 1UL << 28;

static size_t whole(void)
{
    return (size_t)standin_number("MEMORY", 8LL << 30);
}

int standin_take(size_t bytes)
{
    if (standin_fault("memory") != OK || atomic_load(&used) + bytes > whole())
        return ERROR_MEMORY_ALLOCATION;
    atomic_fetch_add(&used, bytes);
    return OK;
}

void standin_give(size_t bytes)
{
    atomic_fetch_sub(&used, bytes);
}

static void *map(size_t bytes)
{
    void *found = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return found == MAP_FAILED ? NULL : found;
}

/* The page in front of a block holds its size: the runtime is not told it when it frees. */
static aclError take(void **block, size_t bytes, int policy)
{
    (void)policy;
    size_t rounded = (bytes + PAGE - 1) / PAGE * PAGE;
    if (standin_take(rounded) != OK)
        return ERROR_MEMORY_ALLOCATION;
    char *start = map(rounded + PAGE);
    if (start == NULL) {
        standin_give(rounded);
        return ERROR_MEMORY_ALLOCATION;
    }
    *(size_t *)start = rounded;
    *block = start + PAGE;
    return OK;
}

aclError aclrtMalloc(void **block, size_t bytes, int policy)
{
    return take(block, bytes, policy);
}

aclError aclrtMallocAlign32(void **block, size_t bytes, int policy)
{
    return take(block, bytes, policy);
}

aclError aclrtFree(void *block)
{
    if (block == NULL)
        return OK;
    char *start = (char *)block - PAGE;
    size_t bytes = *(size_t *)start;
    munmap(start, bytes + PAGE);
    standin_give(bytes);
    return OK;
}

aclError aclrtMallocHost(void **block, size_t bytes)
{
    return posix_memalign(block, PAGE, bytes == 0 ? PAGE : bytes) == 0 ? OK
                                                                        : ERROR_MEMORY_ALLOCATION;
}

aclError aclrtFreeHost(void *block)
{
    free(block);
    return OK;
}

aclError aclrtGetMemInfo(int kind, size_t *unused, size_t *total)
{
    (void)kind;
    *total = whole();
    *unused = *total - atomic_load(&used);
    return OK;
}

/* Expandable segments: torch_npu reserves addresses, and maps physical memory into them as a
 * segment grows. Here the reserved addresses are usable from the start, and the physical handles
 * only keep account. */
aclError aclrtReserveMemAddress(void **address, size_t bytes, size_t align, void *hint,
                                uint64_t flags)
{
    (void)align;
    (void)hint;
    (void)flags;
    char *start = map(bytes + PAGE);
    if (start == NULL)
        return ERROR_MEMORY_ALLOCATION;
    *(size_t *)start = bytes;
    *address = start + PAGE;
    return OK;
}

aclError aclrtReleaseMemAddress(void *address)
{
    char *start = (char *)address - PAGE;
    munmap(start, *(size_t *)start + PAGE);
    return OK;
}

aclError aclrtMallocPhysical(void **handle, size_t bytes, const void *properties, uint64_t flags)
{
    (void)properties;
    (void)flags;
    if (standin_take(bytes) != OK)
        return ERROR_MEMORY_ALLOCATION;
    size_t *kept = malloc(sizeof *kept);
    *kept = bytes;
    *handle = kept;
    return OK;
}

aclError aclrtFreePhysical(void *handle)
{
    standin_give(*(size_t *)handle);
    free(handle);
    return OK;
}

aclError aclrtMemcpy(void *to, size_t room, const void *from, size_t bytes, int kind)
{
    (void)room;
    (void)kind;
    standin_wait(NULL);
    memcpy(to, from, bytes);
    return standin_fault("aclrtMemcpy");
}

aclError aclrtMemcpyAsync(void *to, size_t room, const void *from, size_t bytes, int kind,
                          void *stream)
{
    (void)room;
    (void)kind;
    (void)stream;
    memcpy(to, from, bytes);
    return standin_fault("aclrtMemcpyAsync");
}

aclError aclrtMemset(void *block, size_t room, int32_t value, size_t bytes)
{
    (void)room;
    memset(block, value, bytes);
    return OK;
}
