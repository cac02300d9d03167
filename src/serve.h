/* SPDX-License-Identifier: Apache-2.0
 *
 * `filmgate serve`: wires all rooms into the running gateway. */
#pragma once

int serve_main(int argc, char **argv);
