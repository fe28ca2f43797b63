/* Streams and events: handles that differ from one another, and work that is always done.
 *
 * torch_npu tells streams apart by their handles, and frees a block of memory when the events
 * recorded behind it are complete.
 */
#include "standin.h"

#include <stdlib.h>

static aclError handle(void **made)
{
    *made = calloc(1, 64);
    return *made == NULL ? ERROR_MEMORY_ALLOCATION : OK;
}

aclError aclrtCreateStream(void **stream)
{
    return handle(stream);
}

aclError aclrtCreateStreamWithConfig(void **stream, uint32_t priority, uint32_t flags)
{
    (void)priority;
    (void)flags;
    return handle(stream);
}

aclError aclrtDestroyStream(void *stream)
{
    free(stream);
    return OK;
}

aclError aclrtCreateEventExWithFlag(void **event, uint32_t flags)
{
    (void)flags;
    return handle(event);
}

aclError aclrtDestroyEvent(void *event)
{
    free(event);
    return OK;
}

aclError aclrtSynchronizeStream(void *stream)
{
    standin_wait(stream);
    return standin_fault("aclrtSynchronizeStream");
}

/* 0 is "complete" of a stream, 1 "complete" of an event (aclrtStreamStatus,
 * aclrtEventRecordedStatus): without an answer torch_npu waits for ever, or keeps all memory. */
aclError aclrtStreamQuery(void *stream, int *status)
{
    *status = standin_idle(stream) ? 0 : 1;
    return OK;
}

aclError aclrtQueryEventStatus(void *event, int *status)
{
    (void)event;
    *status = 1;
    return OK;
}
