/* SPDX-License-Identifier: Apache-2.0
 *
 * The system calls that a helper keeps, as two tables: those that are harmless with any arguments,
 * and those that are with some. All others kill the process at once: a call that is missing here
 * shows in the first test that needs it, while an error code would be a bug that nobody sees. The
 * exception is clone3, whose arguments a filter cannot read: it does not exist, and the C library
 * falls back to clone. Called once, by the helper's first thread; those that libraries may have
 * started by then are inside as well. */
#include "proc/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "proc/channel.h"

static const int ANY_ARGUMENTS[] = {
    /* Open descriptors; ioctl is below. */
    SCMP_SYS(read),
    SCMP_SYS(pread64),
    SCMP_SYS(write),
    SCMP_SYS(pwrite64),
    SCMP_SYS(writev),
    SCMP_SYS(lseek),
    SCMP_SYS(fstat),
    SCMP_SYS(close),
    /* Memory; mmap and mprotect are below. */
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    /* Time and chance. */
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(getrandom),
    /* Threads, and what libraries ask in order to choose how many. */
    SCMP_SYS(futex),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(getcpu),
    SCMP_SYS(sysinfo),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    /* The end; signal handling is part of abort(). */
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
#if HAS_SANITIZER
    /* What the runtimes want for themselves and for a report. */
    SCMP_SYS(sigaltstack),
    SCMP_SYS(readlink),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(access),
    SCMP_SYS(fcntl),
    SCMP_SYS(dup),
    SCMP_SYS(dup2),
    SCMP_SYS(pipe),
    SCMP_SYS(pipe2),
    SCMP_SYS(getrlimit),
    SCMP_SYS(prlimit64),
    SCMP_SYS(getppid),
    SCMP_SYS(uname),
#endif
};

struct rule {
    int call;
    unsigned argument;
    uint64_t mask, value; /* allowed when (argument & mask) == value */
};

static const struct rule SOME_ARGUMENTS[] = {
    /* No code comes into being. */
    {SCMP_SYS(mmap), 2, PROT_EXEC, 0},
    {SCMP_SYS(mprotect), 2, PROT_EXEC, 0},
    /* Threads, no processes. */
    {SCMP_SYS(clone), 0, CLONE_THREAD, CLONE_THREAD},
    {SCMP_SYS(prctl), 0, UINT32_MAX, PR_SET_NAME},
    {SCMP_SYS(prctl), 0, UINT32_MAX, PR_GET_NAME},
    /* The C library's fstat(). A filter cannot see whether the path is empty: what could be learnt
     * with one is whether a file is there and how large it is. */
    {SCMP_SYS(newfstatat), 3, UINT32_MAX, AT_EMPTY_PATH},
    /* isatty(), which the log asks before its first line; not what ioctl can do besides. */
    {SCMP_SYS(ioctl), 1, UINT32_MAX, TCGETS},
    /* Messages without descriptors, to the parent, and its own, with those that it chose: for a
     * helper that serves. */
    {SCMP_SYS(sendto), 0, UINT32_MAX, CHANNEL_FD},
    {SCMP_SYS(recvmsg), 0, UINT32_MAX, CHANNEL_FD},
#if HAS_SANITIZER
    {SCMP_SYS(open), 1, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY},
    {SCMP_SYS(openat), 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY},
#endif
};

static int allow(scmp_filter_ctx filter, const struct rule *rule)
{
    const struct scmp_arg_cmp condition = {
        .arg = rule->argument,
        .op = SCMP_CMP_MASKED_EQ,
        .datum_a = rule->mask,
        .datum_b = rule->value,
    };
    return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rule->call, 1, &condition);
}

static int set_attributes(scmp_filter_ctx filter)
{
    int error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (error == 0)
        error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 1);
    if (error == 0)
        error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    return error;
}

static int add_rules(scmp_filter_ctx filter)
{
    /* abort() sends its signal to the own process only. */
    const struct rule own_signal = {SCMP_SYS(tgkill), 0, UINT32_MAX, (uint64_t)getpid()};
    int error = allow(filter, &own_signal);
    if (error == 0)
        error = seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint32_t)ENOSYS), SCMP_SYS(clone3), 0);
    for (size_t i = 0; error == 0 && i < ARRAY_LENGTH(ANY_ARGUMENTS); i++)
        error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, ANY_ARGUMENTS[i], 0);
    for (size_t i = 0; error == 0 && i < ARRAY_LENGTH(SOME_ARGUMENTS); i++)
        error = allow(filter, &SOME_ARGUMENTS[i]);
    return error;
}

int sandbox_enter(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (!filter)
        return -ENOMEM;
    int error = set_attributes(filter);
    if (error == 0)
        error = add_rules(filter);
    if (error == 0)
        error = seccomp_load(filter);
    seccomp_release(filter);
    return error;
}
