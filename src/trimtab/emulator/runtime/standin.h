/* What the parts of the stand-in for the CANN runtime share.
 *
 * The stand-in lets the vendors' own torch_npu, vllm-ascend and vLLM run on a machine without an
 * NPU: device memory is host memory, operators compute nothing, and take no time unless the clock
 * is asked for. It exports every name that the installed torch_npu asks for; those that need not
 * do more than return success are generated (see stubs.py), and the others are written in these
 * files, each with its reason.
 *
 * Signatures are those of CANN's public headers (acl/acl_rt.h, acl/acl_base.h, aclnn/acl_meta.h,
 * hccl/hccl.h, dcmi_interface_api.h).
 */
#ifndef TRIMTAB_STANDIN_H
#define TRIMTAB_STANDIN_H

#include <stddef.h>
#include <stdint.h>

typedef int aclError;

enum {
    OK = 0,
    ERROR_INVALID_PARAM = 107000,
    ERROR_MEMORY_ALLOCATION = 207001,
    ERROR_LOST_HEARTBEAT = 507010,
    DEVICES_AT_MOST = 64
};

/* device.c: the environment variable TRIMTAB_STANDIN_<name>, or `otherwise` if it is not set. */
const char *standin_text(const char *name, const char *otherwise);
long long standin_number(const char *name, long long otherwise);

/* device.c: this thread's device, by its number on the machine, and all of them. */
int standin_current(void);
int standin_devices(void);

/* account.c: device memory. Who allocates tells, so that the rest can be reported as free. */
size_t standin_whole(void);
size_t standin_used(int device);
aclError standin_take(int device, size_t bytes); /* ERROR_MEMORY_ALLOCATION on a full device */
void standin_give(int device, size_t bytes);
void standin_open(int device); /* lets npu-smi see that this process uses the device */

/* fault.c: the fault that TRIMTAB_STANDIN_FAULT asks for at this call, or OK. May sleep. */
aclError standin_fault(const char *call);

/* cost.c: what an operator is expected to take, from what has been described of it (tensors.h). */
int64_t standin_cost(const char *name);
int64_t standin_copy_cost(size_t bytes, int kind);

/* clock.c: an operator is planned in one thread, and launched on a stream in another perhaps. */
struct standin_operator {
    const char *name;
    struct standin_planned *first, *last;
};
int standin_plan(struct standin_operator *one, const void *first_parameter);
int standin_launch(struct standin_operator *one, void *stream);
void standin_spend(void *stream, int64_t nanoseconds);
void standin_wait(void *stream); /* until the work on a stream is done; of all, for NULL */
int standin_idle(void *stream);  /* whether it is */
int64_t standin_end(void *stream);
void standin_not_before(void *stream, int64_t time);
void standin_sleep_until(int64_t time);
int64_t standin_now(void); /* nanoseconds of the monotonic clock */

#ifndef __cplusplus

/* stream.c: the time at which the work on a stream ends, or the graph that it is recorded into. */
struct standin_stream {
    _Atomic int64_t end;
    _Atomic(struct standin_graph *) recording;
    struct standin_stream *next;
    int number;
};
struct standin_stream *standin_stream(void *handle); /* NULL names the default stream */
struct standin_stream *standin_streams(void);

/* graph.c: a graph that is recorded takes the sum of its operators when it is replayed. */
struct standin_graph {
    _Atomic int64_t nanoseconds;
    _Atomic long operators;
    uint32_t number;
};

#endif

#endif
