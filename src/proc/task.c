/* SPDX-License-Identifier: MIT */
/*
 * task.c - the functions that children can be told to run
 *
 * Names travel, never addresses: a spawned image lies elsewhere in memory. The
 * list is written by constructors before main, so reading it needs no lock.
 */
#include <proc/proc_impl.h>

#include <base/fail.h>

#include <stdlib.h>
#include <string.h>

struct task {
    struct task *next;
    nds_task_fn fn;
    bool twice; /* another function was registered under the name */
    char name[];
};

static struct task *tasks;

void
nds_task_register(const char *name, nds_task_fn fn)
{
    size_t nbytes = strlen(name) + 1;
    struct task *t;

    for (t = tasks; t != NULL; t = t->next) {
        if (strcmp(t->name, name) == 0) {
            t->twice = t->twice || t->fn != fn;
            return;
        }
    }
    t = malloc(sizeof *t + nbytes);
    if (t == NULL) {
        return; // starting it will say that there is no such task
    }
    memcpy(t->name, name, nbytes);
    t->fn = fn;
    t->twice = false;
    t->next = tasks;
    tasks = t;
}

int
ndi_task_find(const char *name, nds_task_fn *fn)
{
    for (const struct task *t = tasks; t != NULL; t = t->next) {
        if (strcmp(t->name, name) != 0) {
            continue;
        }
        if (t->twice) {
            return ndi_fail(NDS_EINVAL, "two functions are registered as task "
                            "'%s'; give them different names", name);
        }
        *fn = t->fn;
        return 0;
    }
    return ndi_fail(NDS_EKEY, "no task is called '%s' in '%s'; NDS_TASK(%s) "
                    "registers one", name, ndi_program_name(), name);
}
