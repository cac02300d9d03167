/* SPDX-License-Identifier: Apache-2.0
 *
 * A task's record out of the database: the request's document, a line end, the status's. Damage is
 * refused; what is accepted is sound, reads back as itself and can be shown. */
#include "harness.h"

#include "property.h"
#include "task/task.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct harness_input input = {(const char *)data, size};
    CLEANUP(free_pointer) char *request = harness_line(&input);
    CLEANUP(free_pointer) char *status = harness_line(&input);
    if (status == NULL)
        return 0;
    const struct task *task = task_decode(request, status);
    if (task == NULL)
        return 0;
    property_task(task);
    task_unref(task);
    return 0;
}
