/* Injected faults, so that the error paths of the real software can be seen.
 *
 * TRIMTAB_STANDIN_FAULT  a list of call:kind[:after], joined by commas. `call` is "memory", or the
 *                        name of a runtime call written in these files; `kind` is "full" (out of
 *                        device memory), "lost" (device lost) or "slow" (20 ms); `after` is how
 *                        many calls pass first, 0 if it is missing.
 */
#include "standin.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FAULTS = 8 };

static struct fault {
    char call[48], kind[8];
    _Atomic long after;
} faults[FAULTS];

static int count = -1;

static void read_faults(void)
{
    char text[512];
    snprintf(text, sizeof text, "%s", standin_text("FAULT", ""));
    int found = 0;
    char *rest = NULL;
    for (char *one = strtok_r(text, ",", &rest); one != NULL && found < FAULTS;
         one = strtok_r(NULL, ",", &rest)) {
        long after = 0;
        struct fault *fault = &faults[found];
        if (sscanf(one, "%47[^:]:%7[^:]:%ld", fault->call, fault->kind, &after) >= 2) {
            atomic_store(&fault->after, after);
            found++;
        }
    }
    count = found;
}

aclError standin_fault(const char *call)
{
    if (count < 0)
        read_faults();
    for (int i = 0; i < count; i++) {
        struct fault *fault = &faults[i];
        if (strcmp(fault->call, call) != 0 || atomic_fetch_sub(&fault->after, 1) > 0)
            continue;
        if (strcmp(fault->kind, "full") == 0)
            return ERROR_MEMORY_ALLOCATION;
        if (strcmp(fault->kind, "lost") == 0)
            return ERROR_DEVICE_LOST;
        struct timespec pause = {0, 20000000L};
        nanosleep(&pause, NULL);
    }
    return OK;
}
