#include "models/text/read_text.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "engine/error.h"
#include "engine/io/file.h"
#include "models/text/utf8.h"

namespace gradus {

[[noreturn]] static void cannot_read(const std::string& path, int code) {
  throw DataError(text(path, ": cannot be read: ", std::generic_category().message(code)));
}

std::string read_bytes(const std::string& path) {
  if (path == "-") throw DataError("-: standard input is not read under this name; name a file, or /dev/stdin");
  Descriptor fd;
  do fd = Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  while (!fd && errno == EINTR);
  if (!fd) cannot_read(path, errno);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) cannot_read(path, errno);
  if (S_ISDIR(status.st_mode)) throw DataError(text(path, ": is a folder; name a text file in it"));

  std::string bytes;
  size_t size = 0;
  // One byte more than a regular file should have, so that its end is seen without growing.
  bytes.resize(std::max<size_t>(S_ISREG(status.st_mode) ? size_t(status.st_size) + 1 : 0, 65536));
  for (;;) {
    if (size == bytes.size()) bytes.resize(2 * size);
    const ssize_t got = ::read(fd.get(), bytes.data() + size, bytes.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) cannot_read(path, errno);
    if (got == 0) break;
    size += size_t(got);
  }
  if (size == 0) throw DataError(text(path, ": is empty; there is nothing to learn from"));
  bytes.resize(size);
  return bytes;
}

std::string read_text(const std::string& path) {
  std::string bytes = read_bytes(path);
  require_utf8(bytes, path);
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.erase(0, 3);
  if (bytes.empty()) throw DataError(text(path, ": holds a byte order mark and nothing else"));
  return bytes;
}

}  // namespace gradus
