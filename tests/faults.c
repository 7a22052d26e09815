/* Faults on purpose: the n-th call that opens, reads, writes, ... a file under a folder fails, or the n-th allocation.

   It is loaded before the C library (LD_PRELOAD), whose functions it stands in front of, and steered by tests/faults.py.
   Files elsewhere are left alone. Allocations count where SQLite makes them, and where Python or NumPy make large ones.
   Nothing waits for a disk: a sync that does not fail does nothing. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPEN = 1, READ = 2, WRITE = 4, SYNC = 8, TRUNCATE = 16, RENAME = 32, UNLINK = 64, CLOSE = 128, FOLDER = 256,
       MAP = 512, MEMORY = 1024 };
#define SHORT -1         /* the n-th write writes half, and the next one meets a full disk */
#define LARGE (64 << 10) /* bytes of an allocation of Python or NumPy that counts */
#define RANGES 64

static char folder[PATH_MAX];
static int kinds, stays, fault;
static long wanted, counted, failed;
static struct { char *from, *to; int every; } ranges[RANGES];
static int n_ranges;

#define REAL(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

/* Steering */

static int note_range(struct dl_phdr_info *info, size_t size __attribute__((unused)), void *data __attribute__((unused)))
{
    int sqlite = strstr(info->dlpi_name, "libsqlite3") || strstr(info->dlpi_name, "/_sqlite3.");
    int python = !info->dlpi_name[0] || strstr(info->dlpi_name, "libpython") || strstr(info->dlpi_name, "_multiarray_umath");
    for (int i = 0; (sqlite || python) && i < info->dlpi_phnum && n_ranges < RANGES; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_LOAD && (p->p_flags & PF_X)) {
            char *from = (char *)info->dlpi_addr + p->p_vaddr;
            ranges[n_ranges].from = from;
            ranges[n_ranges].to = from + p->p_memsz;
            ranges[n_ranges++].every = sqlite;
        }
    }
    return 0;
}

void faults_under(const char *path)
{
    snprintf(folder, sizeof folder, "%s/", path);
    n_ranges = 0;
    dl_iterate_phdr(note_range, NULL);
}

void faults_arm(int which, long n, int and_later, int error)
{
    wanted = n, stays = and_later, fault = error, counted = failed = 0;
    __atomic_store_n(&kinds, which, __ATOMIC_SEQ_CST);
}

/* The number of calls that could have failed, since it was armed. */
long faults_disarm(void)
{
    kinds = 0;
    return counted;
}

long faults_failed(void) { return failed; }

/* Who counts */

static int is_under(const char *path)
{
    char here[PATH_MAX];
    if (!path || !folder[0]) return 0;
    if (path[0] != '/') {
        if (!getcwd(here, sizeof here)) return 0;
        strncat(here, "/", sizeof here - strlen(here) - 1);
        return !strncmp(here, folder, strlen(folder));
    }
    return !strncmp(path, folder, strlen(folder) - 1) && (path[strlen(folder) - 1] == '/' || !path[strlen(folder) - 1]);
}

static int is_file(int fd)
{
    char link[32], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return is_under(path);
}

static int is_due(void)
{
    long n = __atomic_add_fetch(&counted, 1, __ATOMIC_SEQ_CST);
    if (n != wanted && !(stays && n > wanted) && !(fault == SHORT && n == wanted + 1)) return 0;
    __atomic_add_fetch(&failed, 1, __ATOMIC_SEQ_CST);
    errno = fault == SHORT ? ENOSPC : fault;
    return 1;
}

#define FAILS_AT(kind, path) ((kinds & (kind)) && is_under(path) && is_due())
#define FAILS(kind, fd) ((kinds & (kind)) && is_file(fd) && is_due())

static int fails_to_give(size_t size, char *caller)
{
    if (!(kinds & MEMORY)) return 0;
    for (int i = 0; i < n_ranges; i++)
        if (caller >= ranges[i].from && caller < ranges[i].to)
            return (ranges[i].every || size >= LARGE) && is_due();
    return 0;
}

/* In the place of the C library. What is read-only can be opened to be read. */

#define OPEN_FAILS(path, flags) ((fault != EROFS || ((flags) & (O_ACCMODE | O_CREAT))) && FAILS_AT(OPEN, path))
#define MODE(flags) mode_t mode = 0; if ((flags) & (O_CREAT | O_TMPFILE)) \
    { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); }

int open(const char *path, int flags, ...)
{
    MODE(flags)
    REAL(open);
    return OPEN_FAILS(path, flags) ? -1 : real(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    MODE(flags)
    REAL(open64);
    return OPEN_FAILS(path, flags) ? -1 : real(path, flags, mode);
}

int openat(int at, const char *path, int flags, ...)
{
    MODE(flags)
    REAL(openat);
    return OPEN_FAILS(path, flags) ? -1 : real(at, path, flags, mode);
}

int openat64(int at, const char *path, int flags, ...)
{
    MODE(flags)
    REAL(openat64);
    return OPEN_FAILS(path, flags) ? -1 : real(at, path, flags, mode);
}

int close(int fd)
{
    REAL(close);
    int fails = FAILS(CLOSE, fd), error = errno, done = real(fd);
    if (fails) errno = error;
    return fails ? -1 : done;
}

ssize_t read(int fd, void *data, size_t n)
{
    REAL(read);
    return FAILS(READ, fd) ? -1 : real(fd, data, n);
}

ssize_t pread(int fd, void *data, size_t n, off_t at)
{
    REAL(pread);
    return FAILS(READ, fd) ? -1 : real(fd, data, n, at);
}

ssize_t pread64(int fd, void *data, size_t n, off64_t at)
{
    REAL(pread64);
    return FAILS(READ, fd) ? -1 : real(fd, data, n, at);
}

static int half(size_t n) { return fault == SHORT && counted == wanted && n > 1; }

ssize_t write(int fd, const void *data, size_t n)
{
    REAL(write);
    if (!FAILS(WRITE, fd)) return real(fd, data, n);
    return half(n) ? real(fd, data, n / 2) : -1;
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at)
{
    REAL(pwrite);
    if (!FAILS(WRITE, fd)) return real(fd, data, n, at);
    return half(n) ? real(fd, data, n / 2, at) : -1;
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at)
{
    REAL(pwrite64);
    if (!FAILS(WRITE, fd)) return real(fd, data, n, at);
    return half(n) ? real(fd, data, n / 2, at) : -1;
}

/* The C library's own streams write within it, where nothing can stand in front: they are turned to a full disk. */

size_t fwrite(const void *data, size_t size, size_t n, FILE *file)
{
    REAL(fwrite);
    return FAILS(WRITE, fileno(file)) ? 0 : real(data, size, n, file);
}

int fclose(FILE *file)
{
    REAL(fclose);
    int full, fd = fileno(file);
    if (FAILS(WRITE, fd) && (full = open("/dev/full", O_WRONLY)) >= 0) {
        dup2(full, fd);
        close(full);
    }
    return real(file);
}

int fsync(int fd) { return FAILS(SYNC, fd) ? -1 : 0; }

int fdatasync(int fd) { return FAILS(SYNC, fd) ? -1 : 0; }

int ftruncate(int fd, off_t n)
{
    REAL(ftruncate);
    return FAILS(TRUNCATE, fd) ? -1 : real(fd, n);
}

int ftruncate64(int fd, off64_t n)
{
    REAL(ftruncate64);
    return FAILS(TRUNCATE, fd) ? -1 : real(fd, n);
}

int rename(const char *from, const char *to)
{
    REAL(rename);
    return FAILS_AT(RENAME, to) ? -1 : real(from, to);
}

int unlink(const char *path)
{
    REAL(unlink);
    return FAILS_AT(UNLINK, path) ? -1 : real(path);
}

int mkdir(const char *path, mode_t mode)
{
    REAL(mkdir);
    return FAILS_AT(FOLDER, path) ? -1 : real(path, mode);
}

int chmod(const char *path, mode_t mode)
{
    REAL(chmod);
    return FAILS_AT(FOLDER, path) ? -1 : real(path, mode);
}

void *mmap(void *at, size_t n, int how, int flags, int fd, off_t from)
{
    REAL(mmap);
    return fd >= 0 && FAILS(MAP, fd) ? MAP_FAILED : real(at, n, how, flags, fd, from);
}

void *mmap64(void *at, size_t n, int how, int flags, int fd, off64_t from)
{
    REAL(mmap64);
    return fd >= 0 && FAILS(MAP, fd) ? MAP_FAILED : real(at, n, how, flags, fd, from);
}

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);

void *malloc(size_t n)
{
    return fails_to_give(n, __builtin_return_address(0)) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    return fails_to_give(n * size, __builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t n)
{
    return fails_to_give(n, __builtin_return_address(0)) ? NULL : __libc_realloc(old, n);
}
