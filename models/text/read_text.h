// Reads a whole file, as UTF-8 text or as bytes, and cuts a text into lines.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gradus {

// All bytes of a file. A pipe is read to its end; "-" is not standard input (/dev/stdin is). DataError, one sentence
// with the path, where it is missing, a folder, unreadable, empty or a pointer of git-lfs, or where something that is
// no regular file does not end within kMostUnsized bytes.
inline constexpr size_t kMostUnsized = size_t{1} << 30;
// A file of any kind that is larger than `most` is a DataError too.
inline constexpr size_t kMostListed = size_t{64} << 20;  // for tables, rewards, prompts and grammars
std::string read_bytes(const std::string& path, size_t most = SIZE_MAX);
// The same for text: DataError as require_utf8 (models/text/utf8.h) too; a byte order mark at the start is dropped.
// Line ends stay as they are: a carriage return is a character like any other.
std::string read_text(const std::string& path, size_t most = SIZE_MAX);
// The lines of a text, without their ends, which are \n or \r\n; the last one may lack its end. An empty line is a
// line.
std::vector<std::string_view> split_lines(std::string_view text);

// DataError for the content of a file whose lines all end with a carriage return alone, which ends no line here: what
// old Macintosh programs wrote.
void require_newlines(std::string_view content, const std::string& path);

}  // namespace gradus
