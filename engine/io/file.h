// Replacing a file so that a reader, or a machine that loses power, finds the old file whole or the new one whole.
// Used for checkpoints and reports.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace gradus {

// Owns one file descriptor, or none (-1).
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor();
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }  // the caller closes it

 private:
  int fd_ = -1;
};

// "is a pointer ..." of a file that begins so, where git-lfs keeps a pointer in its place; else null.
const char* as_lfs_pointer(std::string_view start);

// Bytes go to PATH.tmp.PID in the folder of PATH; commit() makes them durable and gives them the name PATH.
// Every failure throws WriteError, which names the path, the call and the system's reason, and says what is in place.
// Without commit() the destructor removes the temporary file and PATH stays as it was. The constructor removes
// PATH.tmp.PID left over from processes that are dead. A PATH that is a symbolic link stays, and what it leads to is
// replaced. The new file has the owner, as far as we may, and the permissions of the old one.
// REQUIRES: at most one AtomicFile for a PATH in a process at a time.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  void commit();

 private:
  [[noreturn]] void fail(const char* call) const;  // with errno

  std::string path_, target_, temporary_;  // as it was given; where its links lead; in that folder
  Descriptor fd_;
  bool replaces_ = false;  // PATH was there before
};

// PATH holds `text` afterwards, or what it held before and a WriteError is thrown.
void write_file_atomically(const std::string& path, std::string_view text);

}  // namespace gradus
