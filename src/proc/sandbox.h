/* SPDX-License-Identifier: Apache-2.0
 *
 * The sandbox of a helper: a seccomp filter, after which the process can compute, read and write
 * the descriptors that it already has or that its parent sends, speak to its parent, and end. It opens, connects, starts and
 * watches nothing any more. Helper's side. */
#pragma once

#include "base/compiler.h"

/* Closes for good, for all threads of the process. What needs files is done before. Any call that
 * is not allowed kills the process with SIGSYS, which the parent sees as a crash. 0 or negative
 * errno: then nothing is closed, and the process must not go on to what it was closed for. */
CHECKED int sandbox_enter(void);
