// A file that is replaced: symbolic links to it are followed, and its permissions are kept.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>

#include "engine/error.h"
#include "engine/io/file.h"
#include "models/text/read_text.h"
#include "tests/scratch.h"

namespace gradus {
namespace {

namespace fs = std::filesystem;

unsigned permissions(const std::string& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

}  // namespace

TEST_SUITE_BEGIN("file links");

TEST_CASE("what a symbolic link leads to is replaced, and the link stays") {
  const Folder folder;
  fs::create_directory(folder / "far");
  folder.file("far/target", "old");
  fs::create_symlink("far/target", folder / "relative");
  fs::create_symlink(folder / "far/target", folder / "absolute");
  fs::create_symlink("relative", folder / "twice");
  fs::create_directory_symlink("far", folder / "near");
  for (const std::string link : {"relative", "absolute", "twice", "near/target"}) {
    CAPTURE(link);
    write_file_atomically(folder / link, "new by " + link);
    CHECK(read_bytes(folder / "far/target") == "new by " + link);
    CHECK(fs::is_symlink(folder / "relative"));
    CHECK(fs::is_symlink(folder / "absolute"));
    CHECK(fs::is_symlink(folder / "twice"));
    CHECK(fs::is_regular_file(fs::symlink_status(folder / "far/target")));
  }
  CHECK(folder.files() == 5);  // no temporary file is left, here or there
  CHECK(std::distance(fs::directory_iterator(folder / "far"), {}) == 1);
}

TEST_CASE("a link to a file that is not there makes it; one to itself, to a folder or to nowhere is told") {
  const Folder folder;
  fs::create_symlink("later", folder / "dangling");
  write_file_atomically(folder / "dangling", "text");
  CHECK(read_bytes(folder / "later") == "text");
  CHECK(fs::is_symlink(folder / "dangling"));

  const auto said = [&](const std::string& name) {
    return complaint<WriteError>([&] { write_file_atomically(folder / name, "text"); });
  };
  fs::create_symlink("b", folder / "a");
  fs::create_symlink("a", folder / "b");
  CHECK(has(said("a"), "/a: is a symbolic link that leads back to itself"));
  fs::create_symlink(".", folder / "here");
  CHECK(has(said("here"), "/here: is a folder"));
  fs::create_symlink("none/file", folder / "nowhere");
  CHECK(
      has(said("nowhere"), "/nowhere: open of its temporary file failed: No such file or directory; no file was made"));
  fs::create_symlink("/dev/full", folder / "device");
  CHECK(has(said("device"), "a device"));
}

TEST_CASE("a temporary file that a dead process left beside the target goes") {
  const Folder folder;
  fs::create_directory(folder / "far");
  folder.file("far/target", "old");
  folder.file("far/target.tmp.2147483647", "left");
  fs::create_symlink("far/target", folder / "link");
  write_file_atomically(folder / "link", "new");
  CHECK(std::distance(fs::directory_iterator(folder / "far"), {}) == 1);
}

TEST_CASE("permissions of the old file are kept, whatever the umask; a new one has the usual") {
  const Folder folder;
  const mode_t old = ::umask(027);
  for (const unsigned mode : {0600u, 0644u, 0640u, 0666u, 0400u}) {
    CAPTURE(mode);
    const std::string path = folder.file("f", "old");
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    write_file_atomically(path, "new");
    CHECK(permissions(path) == mode);
    CHECK(read_bytes(path) == "new");
    fs::remove(path);
  }
  write_file_atomically(folder / "fresh", "new");
  CHECK(permissions(folder / "fresh") == 0640);
  ::umask(old);
}

TEST_CASE("while it is written a file is never wider open than the old one") {
  const Folder folder;
  const std::string path = folder.file("f", "old");
  REQUIRE(::chmod(path.c_str(), 0600) == 0);
  AtomicFile file(path);
  file.write("new");
  CHECK(permissions(path + ".tmp." + std::to_string(::getpid())) == 0600);
  file.commit();
  CHECK(permissions(path) == 0600);
}

TEST_SUITE_END();

}  // namespace gradus
