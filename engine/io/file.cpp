#include "engine/io/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <memory>
#include <system_error>

#include "engine/error.h"

namespace gradus {
namespace {

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

// Where the symbolic links at `path` lead, be a file there or not; `path` itself where it is none.
std::string follow_links(const std::string& path) {
  constexpr int kMost = 40;  // as Linux
  std::filesystem::path at = path;
  std::error_code error;
  for (int i = 0; std::filesystem::is_symlink(std::filesystem::symlink_status(at, error)); ++i) {
    if (i == kMost) throw WriteError(text(path, ": is a symbolic link that leads back to itself"));
    at = at.parent_path() / std::filesystem::read_symlink(at, error);  // an absolute one replaces it
  }
  return at.string();
}

Descriptor open_uninterrupted(const std::string& path, int flags, mode_t mode = 0) {
  int fd = -1;
  do fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  while (fd < 0 && errno == EINTR);
  return Descriptor(fd);
}

int sync_to_disk(int fd) {
  int result = 0;
  do result = ::fsync(fd);
  while (result != 0 && errno == EINTR);
  return result;
}

// True where `digits` is the id of a process that is gone. Our own id on a file we have not made yet is that of a dead
// namesake: in a container every start may have the same id.
bool left_by_dead_process(std::string_view digits) {
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), pid);
  if (error != std::errc() || end != digits.data() + digits.size() || pid <= 0) return false;
  return pid == ::getpid() || (::kill(pid, 0) != 0 && errno == ESRCH);
}

// Removing is a courtesy: what cannot be listed or removed stays, and open() below speaks up if it is in the way.
// (std::filesystem's iterator ends the program where memory runs out.)
void remove_stale_temporaries(const std::string& path) {
  const std::string prefix = std::filesystem::path(path).filename().string() + ".tmp.", folder = folder_of(path);
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(folder.c_str()), ::closedir);
  while (const dirent* entry = entries ? ::readdir(entries.get()) : nullptr) {
    const std::string_view name = entry->d_name;
    if (name.starts_with(prefix) && left_by_dead_process(name.substr(prefix.size())))
      ::unlinkat(::dirfd(entries.get()), entry->d_name, 0);
  }
}

}  // namespace

const char* as_lfs_pointer(std::string_view start) {
  return start.starts_with("version https://git-lfs.github.com/spec/")
             ? "is a pointer that git-lfs keeps in place of the file; fetch the file itself with git lfs pull"
             : nullptr;
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

AtomicFile::AtomicFile(std::string path)
    : path_(std::move(path)), target_(follow_links(path_)), temporary_(target_ + ".tmp." + std::to_string(::getpid())) {
  struct stat old {};
  replaces_ = ::stat(target_.c_str(), &old) == 0;
  // As root, a rename over /dev/null would succeed.
  if (replaces_ && !S_ISREG(old.st_mode))
    throw WriteError(text(path_, ": is a folder, a device or a pipe; it must be a regular file or a new name"));
  remove_stale_temporaries(target_);
  constexpr mode_t kPermissions = 0777;
  const mode_t mode = replaces_ ? old.st_mode & kPermissions : 0666;  // never wider than the old one, at no moment
  fd_ = open_uninterrupted(temporary_, O_WRONLY | O_CREAT | O_EXCL, mode);
  if (!fd_) fail("open of its temporary file");
  struct stat now {};
  if (!replaces_ || ::fstat(fd_.get(), &now) != 0) return;
  // What follows is a courtesy: only root may give a file away, and some file systems keep no permissions.
  const bool other_owner = now.st_uid != old.st_uid || now.st_gid != old.st_gid;
  if (other_owner && ::fchown(fd_.get(), old.st_uid, old.st_gid) != 0) return;
  if (other_owner || (now.st_mode & kPermissions) != mode) static_cast<void>(::fchmod(fd_.get(), mode));
}

AtomicFile::~AtomicFile() {
  ::unlink(temporary_.c_str());  // after the rename there is none
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t done = ::write(fd_.get(), bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) fail("write");
    bytes = bytes.subspan(static_cast<size_t>(done));
  }
}

void AtomicFile::commit() {
  // The folder is opened first, so that after the rename only its fsync is left to fail.
  const Descriptor folder = open_uninterrupted(folder_of(target_), O_RDONLY | O_DIRECTORY);
  if (!folder) fail("open of its folder");
  if (sync_to_disk(fd_.get()) != 0) fail("fsync");
  // After EINTR Linux has closed the descriptor, and the data is on the disk already.
  if (::close(fd_.release()) != 0 && errno != EINTR) fail("close");
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail("rename");
  // EINVAL: this file system has no fsync of folders, and never will.
  if (sync_to_disk(folder.get()) != 0 && errno != EINVAL) {
    const int code = errno;
    throw WriteError(text(path_, ": fsync of its folder failed: ", std::generic_category().message(code),
                          "; the new file is in place but may not survive a power cut"));
  }
}

void AtomicFile::fail(const char* call) const {
  const int code = errno;
  throw WriteError(text(path_, ": ", call, " failed: ", std::generic_category().message(code),
                        replaces_ ? "; the old file is kept" : "; no file was made"));
}

void write_file_atomically(const std::string& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace gradus
