/* A disk that fails: preloaded into a process, it refuses the k-th change below one folder, as the kernel would.

   fail_disk(at, number, lasting): from now on count the changes (write, pwrite, ftruncate, fsync, fdatasync, rename)
   of files below the folder named by FAILING_FOLDER; the `at`-th fails with errno `number`. With `lasting` every later
   one that needs space fails, too (a full disk), else just the one (a bad block). 0: only count.
   changes(): how many there have been since. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static long count, fails_at;
static int fails_with, lasts;

void fail_disk(long at, int number, int lasting) {
    pthread_mutex_lock(&guard);
    count = 0, fails_at = at, fails_with = number, lasts = lasting;
    pthread_mutex_unlock(&guard);
}

long changes(void) { return count; }

static int refused_path(const char *path, int needs_space) {
    const char *folder = getenv("FAILING_FOLDER");
    if (!folder || strncmp(path, folder, strlen(folder)))
        return 0;
    pthread_mutex_lock(&guard);
    count++;
    int now = fails_at && (count == fails_at || (lasts && needs_space && count > fails_at));
    int number = fails_with;
    pthread_mutex_unlock(&guard);
    if (now)
        errno = number;
    return now;
}

static int refused(int file, int needs_space) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return refused_path(path, needs_space);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int file, const void *from, size_t size) { return refused(file, 1) ? -1 : REAL(write)(file, from, size); }
ssize_t pwrite(int file, const void *from, size_t size, off_t at) {
    return refused(file, 1) ? -1 : REAL(pwrite)(file, from, size, at);
}
ssize_t pwrite64(int file, const void *from, size_t size, off64_t at) {
    return refused(file, 1) ? -1 : REAL(pwrite64)(file, from, size, at);
}
ssize_t writev(int file, const struct iovec *from, int parts) {
    return refused(file, 1) ? -1 : REAL(writev)(file, from, parts);
}
int ftruncate(int file, off_t size) { return refused(file, 0) ? -1 : REAL(ftruncate)(file, size); }
int ftruncate64(int file, off64_t size) { return refused(file, 0) ? -1 : REAL(ftruncate64)(file, size); }
int fsync(int file) { return refused(file, 0) ? -1 : REAL(fsync)(file); }
int fdatasync(int file) { return refused(file, 0) ? -1 : REAL(fdatasync)(file); }
int rename(const char *from, const char *to) { return refused_path(to, 1) ? -1 : REAL(rename)(from, to); }
