#include "models/text/read_text.h"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "engine/error.h"
#include "engine/io/file.h"
#include "models/text/shell_word.h"
#include "models/text/utf8.h"

namespace gradus {

std::string read_bytes(const std::string& path, size_t most) {
  if (path == "-") throw DataError("-: standard input is not read under this name; name a file, or /dev/stdin");
  std::error_code unknown;  // opening the file will say it better
  if (std::filesystem::is_directory(path, unknown))
    throw DataError(text(path, ": is a folder; name a text file in it"));
  std::ifstream in(path, std::ios::binary);
  std::string bytes;
  const bool regular = std::filesystem::is_regular_file(path, unknown);
  const auto refuse_beyond_most = [&](size_t size) {
    if (size > most) throw DataError(text(path, ": has more than ", most >> 20, " MB, the most for a file of its use"));
  };
  if (regular) refuse_beyond_most(std::filesystem::file_size(path, unknown));
  // One byte more than a regular file should have, so that its end is seen without growing.
  if (regular) bytes.reserve(std::filesystem::file_size(path, unknown) + 1);
  while (in) {
    refuse_beyond_most(bytes.size());
    if (!regular && bytes.size() > kMostUnsized)
      throw DataError(text(path, ": is not a regular file and goes on beyond ", kMostUnsized >> 20,
                           " MB; write what is needed of it into a file first"));
    const size_t size = bytes.size();
    bytes.resize(std::max<size_t>(size < bytes.capacity() ? bytes.capacity() : 2 * size, 65536));
    in.read(bytes.data() + size, std::streamsize(bytes.size() - size));
    bytes.resize(size + size_t(in.gcount()));
  }
  refuse_beyond_most(bytes.size());
  if (!in.eof()) throw DataError(text(path, ": cannot be read: ", std::generic_category().message(errno)));
  if (bytes.empty()) throw DataError(text(path, ": is empty; there is nothing to learn from"));
  if (const char* const pointer = as_lfs_pointer(bytes)) throw DataError(text(path, ": ", pointer));
  return bytes;
}

std::string read_text(const std::string& path, size_t most) {
  std::string bytes = read_bytes(path, most);
  require_utf8(bytes, path);
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.erase(0, 3);
  if (bytes.empty()) throw DataError(text(path, ": holds a byte order mark and nothing else"));
  return bytes;
}

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (end != std::string_view::npos && line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(line);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

void require_newlines(std::string_view content, const std::string& path) {
  if (content.find('\r') == content.npos || content.find('\n') != content.npos) return;
  throw DataError(text(path,
                       ": its lines end with a carriage return alone, which ends no line here; try: tr '\\r' '\\n' < ",
                       shell_path(path), " > ", shell_path(path + ".lines")));
}

}  // namespace gradus
