/* Devices: how many, of which chip, and which one is current.
 *
 * TRIMTAB_STANDIN_SOC      what aclrtGetSocName answers; torch_npu and vllm-ascend choose by it
 * TRIMTAB_STANDIN_DEVICES  how many devices there are, as ASCEND_RT_VISIBLE_DEVICES narrows them
 */
#include "standin.h"

#include <stdlib.h>
#include <string.h>

const char *standin_text(const char *name, const char *otherwise)
{
    char full[128] = "TRIMTAB_STANDIN_";
    strncat(full, name, sizeof full - strlen(full) - 1);
    const char *value = getenv(full);
    return value != NULL && *value != '\0' ? value : otherwise;
}

long long standin_number(const char *name, long long otherwise)
{
    const char *text = standin_text(name, "");
    return *text == '\0' ? otherwise : atoll(text);
}

/* A count of elements: the runtime renumbers the visible devices from 0. */
static uint32_t visible(void)
{
    uint32_t all = (uint32_t)standin_number("DEVICES", 8), listed = 1;
    const char *list = getenv("ASCEND_RT_VISIBLE_DEVICES");
    if (list == NULL)
        return all;
    for (const char *c = list; *c != '\0'; c++)
        listed += *c == ',';
    return listed < all ? listed : all;
}

static _Thread_local int32_t current;
static char context; /* its address is the one context there is */

aclError aclrtGetDeviceCount(uint32_t *count)
{
    *count = visible();
    return OK;
}

aclError aclrtSetDevice(int32_t device)
{
    if (device < 0 || device >= (int32_t)visible())
        return ERROR_INVALID_PARAM;
    current = device;
    return standin_fault("aclrtSetDevice");
}

aclError aclrtGetDevice(int32_t *device)
{
    *device = current;
    return OK;
}

/* torch_npu compares the pointer with NULL, and passes it back. */
aclError aclrtGetCurrentContext(void **found)
{
    *found = &context;
    return OK;
}

const char *aclrtGetSocName(void)
{
    return standin_text("SOC", "Ascend910B3");
}

/* Printed after every error: a null pointer would end the process. */
const char *aclGetRecentErrMsg(void)
{
    return "";
}

/* torch_npu asks whether a device is in use before it touches it; inactive ones are skipped. */
aclError aclrtGetPrimaryCtxState(int32_t device, uint32_t *flags, int32_t *active)
{
    (void)device;
    (void)flags;
    *active = 1;
    return OK;
}

/* torch_npu reads every compile option it may set; it needs room for the text, and a text. */
size_t aclGetCompileoptSize(int option)
{
    (void)option;
    return 64;
}

aclError aclGetCompileopt(int option, char *value, size_t length)
{
    (void)option;
    memset(value, 0, length);
    if (length > 1)
        value[0] = '0';
    return OK;
}
