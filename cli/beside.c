/* SPDX-License-Identifier: MIT */
/* beside.c - files that come with the command, found from its own place */
#include "cli.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The first of `places`, from the command's directory, that has `file`. */
static bool
find(char dir[CLI_PATH], const char *const *places, const char *file)
{
    char exe[CLI_PATH - 256], path[CLI_PATH + 64];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    char *slash;

    exe[n > 0 ? n : 0] = '\0';
    slash = strrchr(exe, '/');
    if (slash == NULL) {
        return false;
    }
    *slash = '\0';
    for (; *places != NULL; places++) {
        snprintf(dir, CLI_PATH, "%s/%s", exe, *places);
        snprintf(path, sizeof path, "%s/%s", dir, file);
        if (access(path, R_OK) == 0) {
            return true;
        }
    }
    cli_remark("%s is not where %s looks for it", file, exe);
    return false;
}

bool
cli_programs(char dir[CLI_PATH])
{
    // Beside the command, or where `make install` puts them.
    static const char *const places[] = {"examples",
                                         "../lib/ndshare/examples", NULL};

    return find(dir, places, "01_argument");
}

bool
cli_python_programs(char dir[CLI_PATH])
{
    static const char *const places[] = {"../share/ndshare/python", NULL};

    return find(dir, places, "partner.py");
}
