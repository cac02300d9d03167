/* SPDX-License-Identifier: Apache-2.0
 *
 * Making a task of what a request asks for, however it came: the one way in for all routes that create. */
#pragma once

#include "api/body.h"
#include "api/request.h"
#include "task/task.h"

/* Replies, or suspends the request until the task is durable. `original`, or NULL: the task is a new rendering of that
 * one, and takes over its images unless the body names some. The body is emptied. */
enum MHD_Result create_task(struct api_request *request, struct body *body,
                            const struct task_request *original);
