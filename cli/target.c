/* SPDX-License-Identifier: MIT */
/* target.c - NAME[SLICE]: what a command works on */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOCK_WAIT NDS_SEC(5)

int
cli_target_open(const struct cli_command *self, struct cli_target *t,
                const char *text, enum nds_mode mode)
{
    char *name = strdup(text);
    char *slice;
    int rc;

    *t = (struct cli_target){0};
    if (name == NULL) {
        cli_remark("out of memory");
        return CLI_FAILED;
    }
    slice = strchr(name, '[');
    if (slice != NULL) {
        *slice = '\0';
    }
    t->is_path = strchr(name, '/') != NULL;
    rc = t->is_path ? nds_npy_map(&t->whole, name, mode)
                    : nds_array_attach(&t->whole, name, mode, 0);
    if (rc == 0) {
        rc = slice != NULL
                 ? nds_array_slice(&t->out, t->whole, strchr(text, '['))
                 : nds_array_get(&t->out, t->whole);
    }
    free(name);
    if (rc < 0) {
        cli_fail(self, text);
        cli_target_close(t);
        return CLI_FAILED;
    }
    return CLI_OK;
}

int
cli_target_lock(const struct cli_command *self, struct cli_target *t,
                const char *text)
{
    int rc;

    if (t->is_path) {
        return CLI_OK;
    }
    rc = nds_array_lock(t->whole, LOCK_WAIT);
    if (rc == NDS_EOWNERDEAD) {
        cli_remark("%s: the last holder of its lock died; the lock is taken "
                   "over", text);
        rc = 0;
    }
    if (rc == NDS_ETIMEDOUT) {
        nds_name_info info = {.size = sizeof info};

        nds_name_info_get(nds_array_name(t->whole), &info);
        fprintf(stderr, "ndshare %s: %s: its lock is %s and was not given "
                "back within 5 s\n", self->name, text, info.lock_state);
        return CLI_FAILED;
    }
    if (rc < 0) {
        return cli_fail(self, text);
    }
    t->locked = true;
    return CLI_OK;
}

void
cli_target_close(struct cli_target *t)
{
    if (t->locked) {
        nds_array_unlock(t->whole);
    }
    nds_array_close(t->out);
    nds_array_close(t->whole);
    *t = (struct cli_target){0};
}
