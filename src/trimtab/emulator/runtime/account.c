/* The account of device memory. vLLM sizes its KV cache by what is free, so that free memory must
 * fall as memory is taken, and another process on the same device must be seen.
 *
 * TRIMTAB_STANDIN_MEMORY  bytes of a device, of which 256 MiB are in use from the start, as on a
 *                         device whose driver is loaded
 * TRIMTAB_STANDIN_STATE   a folder that the processes of one machine share: <device>.<pid> holds
 *                         the bytes which a process has taken, and npu-smi reads them too. Without
 *                         it a process sees only itself.
 */
#include "standin.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

static const size_t DRIVER = 1UL << 28;

static _Atomic size_t alone[DEVICES_AT_MOST]; /* counters, where nothing is shared */
static _Atomic(_Atomic size_t *) mine[DEVICES_AT_MOST];
static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;

size_t standin_whole(void)
{
    return (size_t)standin_number("MEMORY", 8LL << 30);
}

/* A page of a file, so that what a process took is known as long as it lives, however it ends. The
 * lock ends with the process: by its number alone, another that got the same one would owe it. */
static _Atomic size_t *share(int device)
{
    char path[512];
    const char *folder = standin_text("STATE", "");
    if (*folder == '\0')
        return &alone[device];
    snprintf(path, sizeof path, "%s/%d.%d", folder, device, (int)getpid());
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0)
        return &alone[device];
    void *page = MAP_FAILED;
    if (flock(file, LOCK_EX) == 0 && ftruncate(file, sizeof(size_t)) == 0)
        page = mmap(NULL, sizeof(size_t), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (page != MAP_FAILED)
        return page; /* the file stays open, and locked */
    close(file);
    return &alone[device];
}

static _Atomic size_t *counter(int device)
{
    _Atomic size_t *found = mine[device];
    if (found != NULL)
        return found;
    pthread_mutex_lock(&opening);
    if (mine[device] == NULL)
        mine[device] = share(device);
    found = mine[device];
    pthread_mutex_unlock(&opening);
    return found;
}

/* What a process took, 0 if it has ended: then nobody holds the lock. */
static size_t read_counter(const char *folder, const char *name)
{
    char path[512];
    size_t bytes = 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    if (flock(file, LOCK_SH | LOCK_NB) == 0
        || read(file, &bytes, sizeof bytes) != (ssize_t)sizeof bytes)
        bytes = 0;
    close(file);
    return bytes;
}

/* What other processes that live have taken of a device. */
static size_t others(int device)
{
    size_t sum = 0;
    const char *folder = standin_text("STATE", "");
    DIR *list = *folder == '\0' ? NULL : opendir(folder);
    if (list == NULL)
        return 0;
    for (struct dirent *one = readdir(list); one != NULL; one = readdir(list)) {
        int owner, pid;
        if (sscanf(one->d_name, "%d.%d", &owner, &pid) != 2 || owner != device || pid == getpid())
            continue;
        sum += read_counter(folder, one->d_name);
    }
    closedir(list);
    return sum;
}

size_t standin_used(int device)
{
    return DRIVER + *counter(device) + others(device);
}

void standin_open(int device)
{
    counter(device);
}

aclError standin_take(int device, size_t bytes)
{
    aclError fault = standin_fault("memory");
    if (fault != OK)
        return fault;
    if (standin_used(device) + bytes > standin_whole())
        return ERROR_MEMORY_ALLOCATION;
    *counter(device) += bytes;
    return OK;
}

void standin_give(int device, size_t bytes)
{
    *counter(device) -= bytes;
}
