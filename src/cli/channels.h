/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands with which operators steer a running gateway. Each takes its own name and arguments, as a
 * main() does, and returns an exit status. */
#pragma once

int channels_main(int argc, char **argv);
int reload_main(int argc, char **argv);
