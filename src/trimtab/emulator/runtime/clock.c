/* The device's clock: a model of how long operators take, off unless it is asked for.
 *
 * TRIMTAB_STANDIN_CLOCK  "chip": an operator takes what cost.c computes; "fixed:N": every operator
 *                        takes N microseconds; not set: no time at all
 *
 * A stream works through its operators in order, and streams do not slow each other down. Nobody
 * sleeps for an operator: a stream remembers when its work ends, and who waits for it sleeps.
 */
#include "standin.h"
#include "tensors.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What has been planned and not been launched yet. With torch_npu's task queue, operators are
 * planned in one thread and launched in another, in the same order for operators of one name. */
struct standin_planned {
    struct standin_planned *next;
    int64_t nanoseconds;
};

static pthread_mutex_t queues = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static enum { NO_CLOCK, CHIP, FIXED } mode;
static int64_t fixed;

static void read_mode(void)
{
    const char *text = standin_text("CLOCK", "");
    if (strcmp(text, "chip") == 0)
        mode = CHIP;
    if (strncmp(text, "fixed:", 6) == 0) {
        mode = FIXED;
        fixed = (int64_t)(atof(text + 6) * 1e3);
    }
}

static int is_on(void)
{
    pthread_once(&once, read_mode);
    return mode != NO_CLOCK;
}

int64_t standin_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

void standin_sleep_until(int64_t time)
{
    if (!is_on() || time <= standin_now())
        return;
    struct timespec until = {time / 1000000000LL, time % 1000000000LL};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
}

static int enqueue(struct standin_operator *one, int64_t nanoseconds)
{
    struct standin_planned *planned = malloc(sizeof *planned);
    if (planned == NULL)
        return ERROR_MEMORY_ALLOCATION;
    *planned = (struct standin_planned){NULL, nanoseconds};
    pthread_mutex_lock(&queues);
    if (one->first == NULL)
        one->first = planned;
    else
        one->last->next = planned;
    one->last = planned;
    pthread_mutex_unlock(&queues);
    return OK;
}

int standin_plan(struct standin_operator *one, const void *first_parameter)
{
    int error = OK;
    standin_order(first_parameter);
    standin_set_result(one->name);
    if (is_on())
        error = enqueue(one, mode == FIXED ? fixed : standin_cost(one->name));
    standin_forget();
    return error;
}

/* The time that was planned. A launch without a plan (an executor that the caller kept) takes what
 * an operator without tensors takes. */
static int64_t planned_time(struct standin_operator *one)
{
    pthread_mutex_lock(&queues);
    struct standin_planned *planned = one->first;
    if (planned != NULL)
        one->first = planned->next;
    pthread_mutex_unlock(&queues);
    if (planned == NULL)
        return mode == FIXED ? fixed : standin_number("LATENCY", 2000);
    int64_t time = planned->nanoseconds;
    free(planned);
    return time;
}

int standin_launch(struct standin_operator *one, void *stream)
{
    if (is_on())
        standin_spend(stream, planned_time(one));
    struct standin_graph *graph = standin_stream(stream)->recording;
    if (graph != NULL)
        graph->operators++;
    aclError fault = standin_fault(one->name);
    return fault != OK ? fault : standin_fault("launch");
}

void standin_spend(void *handle, int64_t nanoseconds)
{
    if (!is_on())
        return;
    struct standin_stream *stream = standin_stream(handle);
    struct standin_graph *graph = stream->recording;
    if (graph != NULL) {
        graph->nanoseconds += nanoseconds;
        return;
    }
    int64_t now = standin_now(), end = stream->end, next;
    do
        next = (end > now ? end : now) + nanoseconds;
    while (!atomic_compare_exchange_weak(&stream->end, &end, next));
}

int64_t standin_end(void *handle)
{
    int64_t now = standin_now(), end = standin_stream(handle)->end;
    return end > now ? end : now;
}

void standin_not_before(void *handle, int64_t time)
{
    int64_t end = standin_end(handle);
    if (time > end)
        standin_spend(handle, time - end);
}

void standin_wait(void *handle)
{
    if (!is_on())
        return;
    if (handle != NULL) {
        standin_sleep_until(standin_stream(handle)->end);
        return;
    }
    for (struct standin_stream *one = standin_streams(); one != NULL; one = one->next)
        standin_sleep_until(one->end);
}

int standin_idle(void *stream)
{
    return !is_on() || standin_stream(stream)->end <= standin_now();
}
