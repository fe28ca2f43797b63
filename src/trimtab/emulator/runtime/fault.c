/* Injected faults, so that the error paths of the real software can be seen.
 *
 * TRIMTAB_STANDIN_FAULT  a list of call:kind[:after], joined by commas.
 *   call   "memory" (device memory is taken), "launch" (any operator), an operator's own name
 *          (aclnnMatmul), or a runtime call that asks standin_fault in these files
 *   kind   "full"       out of device memory (207001)
 *          "lost"       the device's heartbeat is lost (507010), now and in every later call
 *          a number     that error, once
 *          "slow[N]"    the call takes N milliseconds longer, 20 if N is missing; every time
 *   after  how many calls pass first, 0 if it is missing
 */
#include "standin.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FAULTS = 8 };

static struct fault {
    char call[64], kind[16];
    _Atomic long after;
} faults[FAULTS];

static int count;
static _Atomic int lost;
static _Thread_local char message[160];

static void read_faults(void)
{
    char text[512], *rest = NULL;
    snprintf(text, sizeof text, "%s", standin_text("FAULT", ""));
    for (char *one = strtok_r(text, ",", &rest); one != NULL && count < FAULTS;
         one = strtok_r(NULL, ",", &rest)) {
        long after = 0;
        struct fault *fault = &faults[count];
        if (sscanf(one, "%63[^:]:%15[^:]:%ld", fault->call, fault->kind, &after) >= 2) {
            fault->after = after;
            count++;
        }
    }
}

static aclError fail(const char *call, aclError error)
{
    snprintf(message, sizeof message, "injected by trimtab's stand-in: %s fails with %d", call,
             error);
    return error;
}

static aclError act(struct fault *fault)
{
    if (strncmp(fault->kind, "slow", 4) == 0) {
        long pause = fault->kind[4] == '\0' ? 20 : atol(fault->kind + 4);
        struct timespec time = {pause / 1000, pause % 1000 * 1000000L};
        nanosleep(&time, NULL);
        return OK;
    }
    if (strcmp(fault->kind, "full") == 0)
        return fail(fault->call, ERROR_MEMORY_ALLOCATION);
    if (strcmp(fault->kind, "lost") == 0) {
        lost = 1;
        return fail(fault->call, ERROR_LOST_HEARTBEAT);
    }
    return fault->after == -1 ? fail(fault->call, atoi(fault->kind)) : OK;
}

aclError standin_fault(const char *call)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, read_faults);
    if (count == 0)
        return OK;
    if (lost)
        return fail(call, ERROR_LOST_HEARTBEAT);
    for (int i = 0; i < count; i++) {
        struct fault *fault = &faults[i];
        if (strcmp(fault->call, call) != 0 || atomic_fetch_sub(&fault->after, 1) > 0)
            continue;
        aclError error = act(fault);
        if (error != OK)
            return error;
    }
    return OK;
}

/* Printed after every error: a null pointer would end the process. */
const char *aclGetRecentErrMsg(void)
{
    return message;
}
