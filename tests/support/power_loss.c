/*
 * What a disk would hold after the loss of power, if it had dropped everything that it was not told to keep.
 *
 * Preloaded into a process (LD_PRELOAD), this goes along with every fsync and fdatasync of a file in the folder $DISK:
 * of a file, its bytes of that moment are kept as $KEPT/<inode>; of the folder, the names in it, as $KEPT/names, one
 * "<inode> <name>" in a line. So what was written and not synced is not in $KEPT, and neither is a name, made or
 * removed, before the folder was synced. Each is put in place by rename: a process that is killed leaves the one before.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static void put(const char *made, const char *name)
{
    char to[PATH_MAX];
    snprintf(to, sizeof to, "%s/%s", getenv("KEPT"), name);
    if (rename(made, to) != 0)
        abort();
}

static void keep_file(const char *path, const struct stat *found)
{
    char made[PATH_MAX], name[32];
    snprintf(made, sizeof made, "%s/new", getenv("KEPT"));
    int from = open(path, O_RDONLY | O_CLOEXEC), to = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (from < 0 || to < 0)
        abort();
    while (sendfile(to, from, NULL, 1 << 30) > 0)
        ;
    close(to);
    close(from);
    snprintf(name, sizeof name, "%lu", (unsigned long)found->st_ino);
    put(made, name);
}

static void keep_names(const char *path)
{
    char made[PATH_MAX];
    snprintf(made, sizeof made, "%s/new", getenv("KEPT"));
    DIR *folder = opendir(path);
    FILE *names = fopen(made, "we");
    if (folder == NULL || names == NULL)
        abort();
    for (struct dirent *each; (each = readdir(folder)) != NULL;)
        if (each->d_type == DT_REG)
            fprintf(names, "%lu %s\n", (unsigned long)each->d_ino, each->d_name);
    fclose(names);
    closedir(folder);
    put(made, "names");
}

static void keep(int fd)
{
    char link[64], path[PATH_MAX];
    const char *disk = getenv("DISK");
    struct stat found;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0 || disk == NULL || fstat(fd, &found) != 0)
        return;
    path[length] = '\0';
    if (strncmp(path, disk, strlen(disk)) != 0)
        return;
    pthread_mutex_lock(&turn);
    if (S_ISDIR(found.st_mode))
        keep_names(path);
    else if (found.st_nlink > 0)
        keep_file(path, &found);
    pthread_mutex_unlock(&turn);
}

int fsync(int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    keep(fd);
    return real(fd);
}

int fdatasync(int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    keep(fd);
    return real(fd);
}
