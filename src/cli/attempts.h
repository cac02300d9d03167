/* SPDX-License-Identifier: Apache-2.0
 *
 * Attempts at upstreams, for operators: listed and resolved straight in the store, beside a running
 * server or without one. */
#pragma once

/* The command `attempts list | resolve`; returns an exit status. */
int attempts_main(int argc, char **argv);
