/* Devices: how many, of which chip, and which one is current.
 *
 * TRIMTAB_STANDIN_SOC      what aclrtGetSocName answers; torch_npu and vllm-ascend choose by it
 * TRIMTAB_STANDIN_DEVICES  how many devices the machine has; ASCEND_RT_VISIBLE_DEVICES narrows them
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

int standin_devices(void)
{
    long long all = standin_number("DEVICES", 8);
    return all < 0 ? 0 : all > DEVICES_AT_MOST ? DEVICES_AT_MOST : (int)all;
}

/* The runtime renumbers the visible devices from 0, in the order of the list; a number that is not
 * on the machine ends the list. Fills `found` with numbers on the machine, and returns how many. */
static int visible(int found[DEVICES_AT_MOST])
{
    int all = standin_devices(), count = 0;
    const char *list = getenv("ASCEND_RT_VISIBLE_DEVICES");
    if (list == NULL) {
        for (; count < all; count++)
            found[count] = count;
        return count;
    }
    while (count < all) {
        char *end;
        long one = strtol(list, &end, 10);
        if (end == list || one < 0 || one >= all)
            break;
        found[count++] = (int)one;
        if (*end != ',')
            break;
        list = end + 1;
    }
    return count;
}

static _Thread_local int32_t current;
static char context; /* its address is the one context there is */

int standin_current(void)
{
    int found[DEVICES_AT_MOST];
    return current < visible(found) ? found[current] : 0;
}

aclError aclrtGetDeviceCount(uint32_t *count)
{
    int found[DEVICES_AT_MOST];
    *count = (uint32_t)visible(found);
    return OK;
}

aclError aclrtSetDevice(int32_t device)
{
    int found[DEVICES_AT_MOST];
    if (device < 0 || device >= visible(found))
        return ERROR_INVALID_PARAM;
    current = device;
    standin_open(found[device]);
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

/* torch_npu asks whether a device is in use before it touches it; inactive ones are skipped. */
aclError aclrtGetPrimaryCtxState(int32_t device, uint32_t *flags, int32_t *active)
{
    (void)device;
    (void)flags;
    *active = 1;
    return OK;
}
