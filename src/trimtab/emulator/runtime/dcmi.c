/* DCMI, the driver's management library: which CPUs are near a device.
 *
 * torch_npu asks it for CPU_AFFINITY_CONF=…,npu_affine:1. A card of the stand-in is a device.
 *
 * TRIMTAB_STANDIN_AFFINITY  CPU lists of the devices in order, joined by semicolons
 */
#include "standin.h"

#include <stdio.h>
#include <string.h>

enum { DCMI_NOT_SUPPORTED = -8255, AFFINITY_BYTES = 32 };

int dcmi_get_card_num_list(int *count, int *list, int room)
{
    *count = standin_devices() < room ? standin_devices() : room;
    for (int i = 0; i < *count; i++)
        list[i] = i;
    return OK;
}

int dcmi_get_device_id_in_card(int card, int *devices, int *mcu, int *cpu)
{
    (void)card;
    *devices = 1;
    *mcu = 1;
    *cpu = -1;
    return OK;
}

int dcmi_get_affinity_cpu_info_by_device_id(int card, int device, char *cpus, int *length)
{
    (void)device;
    const char *list = standin_text("AFFINITY", "");
    for (int i = 0; i < card && list != NULL; i++) {
        list = strchr(list, ';');
        list = list == NULL ? NULL : list + 1;
    }
    if (list == NULL || *list == '\0')
        return DCMI_NOT_SUPPORTED;
    size_t bytes = strcspn(list, ";");
    bytes = bytes < AFFINITY_BYTES - 1 ? bytes : AFFINITY_BYTES - 1;
    snprintf(cpus, bytes + 1, "%s", list);
    *length = (int)bytes;
    return OK;
}
