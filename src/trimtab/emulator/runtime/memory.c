/* Memory: host memory stands for the device's, mapped and never touched until it is used.
 *
 * Pages come from the kernel zeroed, so that a tensor that no operator has filled holds zeros as a
 * rule, and indices are in range.
 */
#include "standin.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096UL

/* Lies in the page before a block: the runtime is told neither when it frees one. */
struct block {
    size_t bytes;
    int device;
};

static char *map(size_t bytes, int device)
{
    char *found = mmap(NULL, bytes + PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (found == MAP_FAILED)
        return NULL;
    *(struct block *)found = (struct block){bytes, device};
    return found + PAGE;
}

static struct block *block_of(void *address)
{
    return (struct block *)((char *)address - PAGE);
}

static void unmap(struct block *block)
{
    munmap(block, block->bytes + PAGE);
}

static aclError take(void **block, size_t bytes)
{
    int device = standin_current();
    size_t rounded = (bytes + PAGE - 1) / PAGE * PAGE;
    aclError error = standin_take(device, rounded);
    if (error != OK)
        return error;
    *block = map(rounded, device);
    if (*block != NULL)
        return OK;
    standin_give(device, rounded);
    return ERROR_MEMORY_ALLOCATION;
}

aclError aclrtMalloc(void **block, size_t bytes, int policy)
{
    (void)policy;
    return take(block, bytes);
}

aclError aclrtMallocAlign32(void **block, size_t bytes, int policy)
{
    (void)policy;
    return take(block, bytes);
}

aclError aclrtFree(void *address)
{
    if (address == NULL)
        return OK;
    struct block *block = block_of(address);
    standin_give(block->device, block->bytes);
    unmap(block);
    return OK;
}

aclError aclrtMallocHost(void **block, size_t bytes)
{
    return posix_memalign(block, PAGE, bytes == 0 ? PAGE : bytes) == 0 ? OK
                                                                       : ERROR_MEMORY_ALLOCATION;
}

/* The configuration says what pinned memory is used for, which is the same here. */
aclError aclrtMallocHostWithCfg(void **block, uint64_t bytes, void *configuration)
{
    (void)configuration;
    return aclrtMallocHost(block, bytes);
}

aclError aclrtFreeHost(void *block)
{
    free(block);
    return OK;
}

aclError aclrtGetMemInfo(int kind, size_t *unused, size_t *total)
{
    (void)kind;
    size_t used = standin_used(standin_current());
    *total = standin_whole();
    *unused = used < *total ? *total - used : 0;
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
    *address = map(bytes, 0);
    return *address == NULL ? ERROR_MEMORY_ALLOCATION : OK;
}

aclError aclrtReleaseMemAddress(void *address)
{
    unmap(block_of(address));
    return OK;
}

aclError aclrtMallocPhysical(void **handle, size_t bytes, const void *properties, uint64_t flags)
{
    (void)properties;
    (void)flags;
    struct block *kept = malloc(sizeof *kept);
    if (kept == NULL)
        return ERROR_MEMORY_ALLOCATION;
    *kept = (struct block){bytes, standin_current()};
    *handle = kept;
    aclError error = standin_take(kept->device, bytes);
    if (error != OK)
        free(kept);
    return error;
}

aclError aclrtFreePhysical(void *handle)
{
    struct block *kept = handle;
    standin_give(kept->device, kept->bytes);
    free(kept);
    return OK;
}

/* A copy that the host waits for ends the work before it, on every stream. */
aclError aclrtMemcpy(void *to, size_t room, const void *from, size_t bytes, int kind)
{
    (void)room;
    standin_spend(NULL, standin_copy_cost(bytes, kind));
    standin_wait(NULL);
    memcpy(to, from, bytes);
    return standin_fault("aclrtMemcpy");
}

/* The bytes are moved at once: an operator that would have written them first computes nothing. */
aclError aclrtMemcpyAsync(void *to, size_t room, const void *from, size_t bytes, int kind,
                          void *stream)
{
    (void)room;
    standin_spend(stream, standin_copy_cost(bytes, kind));
    memcpy(to, from, bytes);
    return standin_fault("aclrtMemcpyAsync");
}

aclError aclrtMemset(void *block, size_t room, int32_t value, size_t bytes)
{
    (void)room;
    memset(block, value, bytes);
    return OK;
}

aclError aclrtMemsetAsync(void *block, size_t room, int32_t value, size_t bytes, void *stream)
{
    (void)stream;
    return aclrtMemset(block, room, value, bytes);
}
