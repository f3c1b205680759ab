#include "engine/io/free_memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>

namespace gradus {
namespace {

std::string content(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream all;
  all << file.rdbuf();
  return all.str();
}

// The number behind the first `name` at the beginning of a line; with an empty name the file's first. None for "max".
std::optional<double> number(const std::string& text, const std::string& name) {
  size_t at = 0;
  while (text.compare(at, name.size(), name) != 0) {
    at = text.find('\n', at);
    if (at == std::string::npos) return {};
    ++at;
  }
  at = text.find_first_not_of(": \t", at + name.size());
  int64_t value = 0;
  if (at == std::string::npos || std::from_chars(text.data() + at, text.data() + text.size(), value).ec != std::errc())
    return {};
  return double(value);
}

// What the group in this folder leaves. Pages of files that nobody has read for a while are given back when they are
// needed.
std::optional<double> left_in_group(const std::string& folder, const char* limit, const char* used, const char* cache) {
  const std::optional<double> most = number(content(folder + limit), ""), now = number(content(folder + used), "");
  if (!most || !now) return {};
  return std::max(0.0, *most - *now + number(content(folder + "/memory.stat"), cache).value_or(0));
}

// A group's limit holds for all groups in it, so that of every folder up to the root counts.
void ask_groups(const std::string& root, FreeMemory& least) {
  const auto ask = [&](std::string path, const std::string& mount, const char* limit, const char* used,
                       const char* cache) {
    for (;;) {
      if (path == "/") path.clear();
      const std::optional<double> left =
          left_in_group(std::string(root).append(mount).append(path), limit, used, cache);
      if (left && *left < least.bytes) least = {*left, "is left in the control group"};
      if (path.empty()) return;
      path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
    }
  };
  std::istringstream groups(content(root + "/proc/self/cgroup"));
  for (std::string line; std::getline(groups, line);) {  // NUMBER:CONTROLLERS:PATH
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",",
                      path = line.substr(second + 1);
    if (controllers == ",,")
      ask(path, "/sys/fs/cgroup", "/memory.max", "/memory.current", "inactive_file");
    else if (controllers.find(",memory,") != std::string::npos)
      ask(path, "/sys/fs/cgroup/memory", "/memory.limit_in_bytes", "/memory.usage_in_bytes", "total_inactive_file");
  }
}

}  // namespace

double free_address_space(const std::string& root) {
  rlimit limit{};
  const auto pages = number(content(root + "/proc/self/statm"), "");
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || !pages)
    return std::numeric_limits<double>::infinity();
  return std::max(0.0, double(limit.rlim_cur) - *pages * double(sysconf(_SC_PAGESIZE)));
}

FreeMemory free_memory(const std::string& root, int processes) {
  FreeMemory least{std::numeric_limits<double>::infinity(), "is free on this machine"};
  if (const auto kilobytes = number(content(root + "/proc/meminfo"), "MemAvailable")) least.bytes = *kilobytes * 1024;
  ask_groups(root, least);
  if (processes > 1) {
    least.bytes /= processes;
    least.limit += " for each of the " + std::to_string(processes) + " ranks on it";
  }
  if (const double left = free_address_space(root); left < least.bytes)
    least = {left, "is left of the limit of address space (ulimit -v)"};
  return least;
}

}  // namespace gradus
