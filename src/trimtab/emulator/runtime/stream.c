/* Streams and events: handles that differ from one another, and the time at which work is done.
 *
 * torch_npu tells streams apart by their handles, and frees a block of memory when the events
 * recorded behind it are complete. Without the clock all work is always done.
 */
#include "standin.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { STREAM_READY = 0, EVENT_READY = 1, STREAM_BUSY = 0xffff, EVENT_BUSY = 0 };

struct event {
    _Atomic int64_t time;
};

static struct standin_stream default_stream;
static _Atomic(struct standin_stream *) newest = &default_stream;
static _Atomic int numbers;

struct standin_stream *standin_stream(void *handle)
{
    return handle == NULL ? &default_stream : handle;
}

struct standin_stream *standin_streams(void)
{
    return newest;
}

/* Streams are never freed: their handles must stay different, and a process makes few of them. */
aclError aclrtCreateStream(void **stream)
{
    struct standin_stream *made = calloc(1, sizeof *made);
    if (made == NULL)
        return ERROR_MEMORY_ALLOCATION;
    made->number = ++numbers;
    made->next = newest;
    while (!atomic_compare_exchange_weak(&newest, &made->next, made)) {
    }
    *stream = made;
    return OK;
}

aclError aclrtCreateStreamWithConfig(void **stream, uint32_t priority, uint32_t flags)
{
    (void)priority;
    (void)flags;
    return aclrtCreateStream(stream);
}

aclError aclrtStreamGetId(void *stream, int32_t *number)
{
    *number = standin_stream(stream)->number;
    return OK;
}

aclError aclrtSynchronizeStream(void *stream)
{
    standin_wait(standin_stream(stream));
    return standin_fault("aclrtSynchronizeStream");
}

aclError aclrtSynchronizeStreamWithTimeout(void *stream, int32_t milliseconds)
{
    (void)milliseconds;
    return aclrtSynchronizeStream(stream);
}

aclError aclrtSynchronizeDevice(void)
{
    standin_wait(NULL);
    return standin_fault("aclrtSynchronizeDevice");
}

aclError aclrtSynchronizeDeviceWithTimeout(int32_t milliseconds)
{
    (void)milliseconds;
    return aclrtSynchronizeDevice();
}

/* Without an answer torch_npu waits for ever, or keeps all memory. */
aclError aclrtStreamQuery(void *stream, int *status)
{
    *status = standin_idle(stream) ? STREAM_READY : STREAM_BUSY;
    return OK;
}

/* A function of the host that the device calls when it comes to it: now, as its work is done. */
aclError aclrtLaunchHostFunc(void *stream, void (*function)(void *), void *argument)
{
    (void)stream;
    function(argument);
    return OK;
}

aclError aclrtCreateEventExWithFlag(void **event, uint32_t flags)
{
    (void)flags;
    *event = calloc(1, sizeof(struct event));
    return *event == NULL ? ERROR_MEMORY_ALLOCATION : OK;
}

aclError aclrtCreateEventWithFlag(void **event, uint32_t flags)
{
    return aclrtCreateEventExWithFlag(event, flags);
}

aclError aclrtDestroyEvent(void *event)
{
    free(event);
    return OK;
}

aclError aclrtRecordEvent(void *event, void *stream)
{
    ((struct event *)event)->time = standin_end(stream);
    return OK;
}

aclError aclrtStreamWaitEvent(void *stream, void *event)
{
    standin_not_before(stream, ((struct event *)event)->time);
    return OK;
}

aclError aclrtSynchronizeEvent(void *event)
{
    standin_sleep_until(((struct event *)event)->time);
    return standin_fault("aclrtSynchronizeEvent");
}

aclError aclrtQueryEventStatus(void *event, int *status)
{
    *status = ((struct event *)event)->time <= standin_now() ? EVENT_READY : EVENT_BUSY;
    return OK;
}

aclError aclrtQueryEventWaitStatus(void *event, int *status)
{
    (void)event;
    *status = STREAM_READY;
    return OK;
}

aclError aclrtEventElapsedTime(float *milliseconds, void *start, void *end)
{
    int64_t spent = ((struct event *)end)->time - ((struct event *)start)->time;
    *milliseconds = (float)spent / 1e6F;
    return OK;
}

aclError aclrtEventGetTimestamp(void *event, uint64_t *microseconds)
{
    *microseconds = (uint64_t)((struct event *)event)->time / 1000;
    return OK;
}
