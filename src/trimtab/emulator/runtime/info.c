/* What the runtime tells about itself and its devices. A caller that is told "success" reads the
 * value: without one it would show what lay on its stack.
 *
 * TRIMTAB_STANDIN_CORES  cube cores of the chip; it has twice as many vector cores
 * TRIMTAB_STANDIN_CANN   the version of CANN to play, such as 8.5.0; none is told if it is not set
 */
#include "standin.h"

#include <stdio.h>
#include <string.h>

enum { CAPABILITY_CUBE_CORES, CAPABILITY_VECTOR_CORES, CAPABILITY_L2_CACHE };
enum { AICORES = 101, CUBE_CORES = 102, VECTOR_CORES = 201, MEMORY = 301, L2_CACHE = 302 };

static int64_t cores(void)
{
    return standin_number("CORES", 20);
}

aclError aclrtGetDeviceInfo(uint32_t device, int attribute, int64_t *value)
{
    (void)device;
    switch (attribute) {
    case AICORES:
    case CUBE_CORES:
        *value = cores();
        break;
    case VECTOR_CORES:
        *value = 2 * cores();
        break;
    case MEMORY:
        *value = (int64_t)standin_whole();
        break;
    case L2_CACHE:
        *value = 192LL << 20;
        break;
    default:
        *value = 0;
    }
    return OK;
}

aclError aclGetDeviceCapability(uint32_t device, int capability, int64_t *value)
{
    switch (capability) {
    case CAPABILITY_CUBE_CORES:
        return aclrtGetDeviceInfo(device, CUBE_CORES, value);
    case CAPABILITY_VECTOR_CORES:
        return aclrtGetDeviceInfo(device, VECTOR_CORES, value);
    default:
        return aclrtGetDeviceInfo(device, L2_CACHE, value);
    }
}

aclError aclGetCannAttribute(int attribute, int32_t *value)
{
    (void)attribute;
    *value = 0;
    return OK;
}

/* How many cores a device or a stream may use: all of them. 0 is cube, 1 is vector. */
aclError aclrtGetDeviceResLimit(int32_t device, int kind, uint32_t *value)
{
    (void)device;
    *value = (uint32_t)(kind == 0 ? cores() : 2 * cores());
    return OK;
}

aclError aclrtGetStreamResLimit(void *stream, int kind, uint32_t *value)
{
    (void)stream;
    return aclrtGetDeviceResLimit(0, kind, value);
}

aclError aclrtGetResInCurrentThread(int kind, uint32_t *value)
{
    return aclrtGetDeviceResLimit(0, kind, value);
}

aclError aclrtDeviceGetUuid(int32_t device, char uuid[16])
{
    memset(uuid, 0, 16);
    snprintf(uuid, 16, "stand-in %d", device);
    return OK;
}

/* The fields are those of aclCANNPackageVersion. */
struct package {
    char version[128], major[64], minor[64], release[64], patch[64], reserved[128];
};

/* torch_npu chooses its ways by the version. */
aclError aclsysGetCANNVersion(int package, struct package *found)
{
    (void)package;
    memset(found, 0, sizeof *found);
    snprintf(found->version, sizeof found->version, "%s", standin_text("CANN", ""));
    return OK;
}

aclError aclsysGetVersionStr(char *package, char *version)
{
    (void)package;
    snprintf(version, 128, "%s", standin_text("CANN", ""));
    return OK;
}

/* Options of CANN's compiler of operators. torch_npu asks what the option for compiling at run time
 * is, and takes ready-made operators (aclnn) only where it is off, which is the default of every
 * chip since 910B; it reads the others before it sets them, and needs a text. */
enum { JIT_COMPILE = 10, OPTIONS = 32, OPTION_BYTES = 64 };

static char options[OPTIONS][OPTION_BYTES] = {[JIT_COMPILE] = "disable"};

size_t aclGetCompileoptSize(int option)
{
    (void)option;
    return OPTION_BYTES;
}

aclError aclGetCompileopt(int option, char *value, size_t length)
{
    const char *set = option >= 0 && option < OPTIONS ? options[option] : "";
    snprintf(value, length, "%s", *set == '\0' ? "0" : set);
    return OK;
}

aclError aclSetCompileopt(int option, const char *value)
{
    if (option >= 0 && option < OPTIONS)
        snprintf(options[option], OPTION_BYTES, "%s", value);
    return OK;
}
