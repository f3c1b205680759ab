// For tests: a folder of their own, and what is said when something throws.
#pragma once

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace gradus {

inline bool has(const std::string& sentence, std::string_view part) { return sentence.find(part) != std::string::npos; }

// The message of the E that f throws; empty if it throws nothing.
template <class E, class F>
std::string complaint(F f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  }
  return "";
}

// Removed with all that is in it.
struct Folder {
  std::filesystem::path path;
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "gradus_test_XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(const Folder&) = delete;
  std::string operator/(const std::string& name) const { return path / name; }
  long files() const { return std::distance(std::filesystem::directory_iterator(path), {}); }
  // The path of a new file that holds `bytes`.
  std::string file(const std::string& name, const std::string& bytes) const {
    std::ofstream(path / name, std::ios::binary) << bytes;
    return path / name;
  }
};

}  // namespace gradus
