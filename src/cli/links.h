/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys that links are signed with, for operators. */
#pragma once

/* The command `links rotate`; returns an exit status. */
int links_main(int argc, char **argv);
