// Faults in the calls that write files. Included by a test it stands in front of the C library inside that program;
//   gcc -shared -fPIC -o fault_io.so tests/fault_io.c
//   FAULT_AT=3 FAULT_HOW=error LD_PRELOAD=./fault_io.so build/gradus train ...
// does the same to any program. The FAULT_AT-th (1, 2, ...) open for creation, write, fsync, close or rename since the
// first open for creation goes wrong as FAULT_HOW says:
//   error      it fails (ENOSPC or EIO) without doing anything       kill   the process dies there, as by kill -9
//   short      a write does half of its work; others are not touched
//   interrupt  it fails with EINTR (open, write, fsync, close; close has closed)
// Log lines and the terminal are spared: only descriptors opened for creation count.
// FAULT_NAME=FILE: every open of the file by that name fails (EACCES), whatever else is asked for.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __cplusplus
#define FAULT_NOTHROW noexcept
extern "C" {
#else
#define FAULT_NOTHROW
#endif

enum { FAULT_ERROR, FAULT_SHORT, FAULT_INTERRUPT, FAULT_KILL };
long fault_at = -1;  // -1: ask the environment; 0: none
int fault_how = FAULT_ERROR;
long fault_count = 0;            // calls that counted
char fault_call[16] = "";        // the last one that was hit
static int fault_watching = 0;   // a file has been opened for creation
static int fault_file = -1;      // its descriptor
static int fault_folder = -1;    // a folder opened since

static int fault_hit(const char* call) {
  if (fault_at < 0) {
    const char* at = getenv("FAULT_AT");
    const char* how = getenv("FAULT_HOW");
    fault_at = at ? atol(at) : 0;
    if (how) fault_how = how[0] == 's' ? FAULT_SHORT : how[0] == 'i' ? FAULT_INTERRUPT : how[0] == 'k' ? FAULT_KILL : 0;
  }
  if (!fault_watching || ++fault_count != fault_at) return 0;
  strncpy(fault_call, call, sizeof fault_call - 1);
  if (fault_how == FAULT_KILL) _exit(137);
  return 1;
}

int open(const char* path, int flags, ...) {
  static int (*real)(const char*, int, ...);
  int mode = 0, fd;
  const char* forbidden = getenv("FAULT_NAME");
  if (forbidden && strcmp(path, forbidden) == 0) {
    errno = EACCES;
    return -1;
  }
  if (!real) *(void**)&real = dlsym(RTLD_NEXT, "open");
  if (flags & O_CREAT) {
    va_list args;
    va_start(args, flags);
    mode = va_arg(args, int);
    va_end(args);
  }
  if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) {
    fault_watching = 1;
    if (fault_hit("open") && fault_how != FAULT_SHORT) {
      errno = fault_how == FAULT_INTERRUPT ? EINTR : ENOSPC;
      return -1;
    }
    return fault_file = real(path, flags, mode);
  }
  if (!(flags & O_DIRECTORY) || !fault_watching) return real(path, flags, mode);
  if (fault_hit("opendir") && fault_how == FAULT_ERROR) {
    errno = EMFILE;
    return -1;
  }
  fd = real(path, flags, mode);
  fault_folder = fd;
  return fd;
}

ssize_t write(int fd, const void* bytes, size_t n) {
  static ssize_t (*real)(int, const void*, size_t);
  if (!real) *(void**)&real = dlsym(RTLD_NEXT, "write");
  if (fd < 0 || fd != fault_file || !fault_hit("write")) return real(fd, bytes, n);
  if (fault_how == FAULT_SHORT) return real(fd, bytes, (n + 1) / 2);
  errno = fault_how == FAULT_INTERRUPT ? EINTR : ENOSPC;
  return -1;
}

int fsync(int fd) {
  static int (*real)(int);
  if (!real) *(void**)&real = dlsym(RTLD_NEXT, "fsync");
  if (fd < 0 || (fd != fault_file && fd != fault_folder)) return real(fd);
  if (!fault_hit(fd == fault_file ? "fsync" : "fsyncdir") || fault_how == FAULT_SHORT) return real(fd);
  errno = fault_how == FAULT_INTERRUPT ? EINTR : EIO;
  return -1;
}

int close(int fd) {
  static int (*real)(int);
  int result;
  if (!real) *(void**)&real = dlsym(RTLD_NEXT, "close");
  if (fd >= 0 && fd == fault_folder) fault_folder = -1;
  if (fd < 0 || fd != fault_file) return real(fd);
  fault_file = -1;
  if (!fault_hit("close") || fault_how == FAULT_SHORT) return real(fd);
  result = real(fd);  // Linux closes in any case
  errno = fault_how == FAULT_INTERRUPT ? EINTR : EIO;
  return result < 0 ? result : -1;
}

int rename(const char* from, const char* to) FAULT_NOTHROW {
  static int (*real)(const char*, const char*);
  if (!real) *(void**)&real = dlsym(RTLD_NEXT, "rename");
  if (!fault_hit("rename") || fault_how == FAULT_SHORT || fault_how == FAULT_INTERRUPT) return real(from, to);
  errno = EIO;
  return -1;
}

#ifdef __cplusplus
}  // extern "C"
#endif
