/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands that speak to a running gateway about tasks. Each takes its own name and arguments, as a
 * main() does, and returns an exit status. */
#pragma once

int create_main(int argc, char **argv); /* cli/create.c */
int tasks_query(int argc, char **argv);
int tasks_watch(int argc, char **argv);
int tasks_list(int argc, char **argv);     /* cli/list.c */
int tasks_remove(int argc, char **argv);   /* cli/remove.c */
int tasks_timeline(int argc, char **argv); /* cli/timeline.c */
int tasks_cancel(int argc, char **argv);
