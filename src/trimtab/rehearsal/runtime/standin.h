/* What the parts of the stand-in for the CANN runtime share.
 *
 * The stand-in lets the vendors' own torch_npu, vllm-ascend and vLLM run on a machine without an
 * NPU: device memory is host memory, streams are empty, operators compute nothing. It exports every
 * name that the installed torch_npu asks for; those that need not do more than return success are
 * generated (see stubs.py), and the others are written in these files, each with its reason.
 *
 * Signatures are those of CANN's public headers (acl/acl_rt.h, acl/acl_base.h, hccl/hccl.h).
 */
#ifndef TRIMTAB_STANDIN_H
#define TRIMTAB_STANDIN_H

#include <stddef.h>
#include <stdint.h>

typedef int aclError;

enum { OK = 0, ERROR_INVALID_PARAM = 107000, ERROR_MEMORY_ALLOCATION = 207001,
       ERROR_DEVICE_LOST = 507899 };

/* The environment variable TRIMTAB_STANDIN_<name>, or `otherwise` where it is not set. */
const char *standin_text(const char *name, const char *otherwise);
long long standin_number(const char *name, long long otherwise);

/* Device memory: who allocates tells, so that the rest can be reported as free. */
int standin_take(size_t bytes); /* 0, or ERROR_MEMORY_ALLOCATION when the device is full */
void standin_give(size_t bytes);

/* A fault that TRIMTAB_STANDIN_FAULT asks for at this call, or OK. May sleep. */
aclError standin_fault(const char *call);

/* The device's clock (clock.c). An operator is planned, then launched on a stream. */
int standin_plan(const char *name);
int standin_launch(const char *name, void *stream);
void standin_wait(void *stream); /* until the work on a stream is done; of all, for NULL */
int standin_idle(void *stream);  /* whether it is */

#endif
