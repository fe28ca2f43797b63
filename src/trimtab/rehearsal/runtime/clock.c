/* The device's clock: operators take no time. */
#include "standin.h"

int standin_plan(const char *name)
{
    (void)name;
    return OK;
}

int standin_launch(const char *name, void *stream)
{
    (void)name;
    (void)stream;
    return OK;
}

void standin_wait(void *stream)
{
    (void)stream;
}

int standin_idle(void *stream)
{
    (void)stream;
    return 1;
}
