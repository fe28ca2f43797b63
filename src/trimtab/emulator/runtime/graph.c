/* Graphs: a capture counts operators and adds up their time, and a replay takes it.
 *
 * torch_npu's NPUGraph asks for the state of a capture, keeps the handle that ends it, and
 * vllm-ascend keeps the handles of task groups to update the attention's parameters by.
 */
#include "standin.h"

#include <stdlib.h>

enum { CAPTURE_NONE = 0, CAPTURE_ACTIVE = 1, ERROR_NOT_CAPTURING = 107000 };

static _Atomic uint32_t numbers;
static struct standin_graph update; /* takes what a task update launches: nothing runs then */

aclError aclmdlRICaptureBegin(void *stream, int mode)
{
    (void)mode;
    struct standin_graph *graph = calloc(1, sizeof *graph);
    if (graph == NULL)
        return ERROR_MEMORY_ALLOCATION;
    graph->number = ++numbers;
    standin_stream(stream)->recording = graph;
    return standin_fault("aclmdlRICaptureBegin");
}

aclError aclmdlRICaptureGetInfo(void *stream, int *status, void **graph)
{
    struct standin_graph *found = standin_stream(stream)->recording;
    *status = found == NULL ? CAPTURE_NONE : CAPTURE_ACTIVE;
    if (graph != NULL)
        *graph = found;
    return OK;
}

aclError aclmdlRICaptureEnd(void *stream, void **graph)
{
    *graph = standin_stream(stream)->recording;
    standin_stream(stream)->recording = NULL;
    return *graph == NULL ? ERROR_NOT_CAPTURING : OK;
}

aclError aclmdlRIGetId(void *graph, uint32_t *number)
{
    *number = ((struct standin_graph *)graph)->number;
    return OK;
}

aclError aclmdlRIExecuteAsync(void *graph, void *stream)
{
    standin_spend(stream, ((struct standin_graph *)graph)->nanoseconds);
    return standin_fault("aclmdlRIExecuteAsync");
}

aclError aclmdlRIDestroy(void *graph)
{
    free(graph);
    return OK;
}

/* A task group's handle is only passed back; the stream's own address will do. */
aclError aclmdlRICaptureTaskGrpEnd(void *stream, void **handle)
{
    *handle = standin_stream(stream);
    return OK;
}

aclError aclmdlRICaptureTaskUpdateBegin(void *stream, void *handle)
{
    (void)handle;
    standin_stream(stream)->recording = &update;
    return OK;
}

aclError aclmdlRICaptureTaskUpdateEnd(void *stream)
{
    standin_stream(stream)->recording = NULL;
    return OK;
}
