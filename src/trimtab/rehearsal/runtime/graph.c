/* Graphs: a capture records nothing, and a replay does nothing.
 *
 * torch_npu's NPUGraph passes the handle on and checks that it is not NULL.
 */
#include "standin.h"

aclError aclmdlRICaptureBegin(void *stream, int mode)
{
    (void)stream;
    (void)mode;
    return OK;
}
