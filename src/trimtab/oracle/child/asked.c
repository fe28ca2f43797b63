/* Who asks for which variable: getenv, noted down.
 *
 * Preloaded into the process that runs the vendors' code. It answers as the C library does (the
 * text in the environment now), and keeps each name that was asked for, once, in the order of the
 * first question. A table of fixed size: no memory is taken, so that it may be called from anywhere.
 */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#define NAMES 1024
#define LONGEST 96

extern char **environ;

static char names[NAMES][LONGEST];
static atomic_int count;
static atomic_flag busy = ATOMIC_FLAG_INIT;

static void note(const char *name) {
    size_t length = strnlen(name, LONGEST);
    if (length == LONGEST) {
        return;
    }
    while (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire)) {
    }
    int known = atomic_load(&count);
    int found = 0;
    for (int i = 0; i < known && !found; i++) {
        found = strcmp(names[i], name) == 0;
    }
    if (!found && known < NAMES) {
        memcpy(names[known], name, length + 1);
        atomic_store(&count, known + 1);
    }
    atomic_flag_clear_explicit(&busy, memory_order_release);
}

char *getenv(const char *name) {
    size_t length = strlen(name);
    note(name);
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=') {
            return *entry + length + 1;
        }
    }
    return NULL;
}

char *secure_getenv(const char *name) { return getenv(name); }

int oracle_asked_count(void) { return atomic_load(&count); }

const char *oracle_asked_name(int index) {
    return index >= 0 && index < atomic_load(&count) ? names[index] : NULL;
}

/* A fork starts with the names of its parent: forget them. */
void oracle_asked_forget(void) { atomic_store(&count, 0); }
