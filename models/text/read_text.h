// Reads a whole file, as UTF-8 text or as bytes, and cuts a text into lines.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gradus {

// All bytes of a file. A pipe is read to its end; "-" is not standard input (/dev/stdin is). DataError, one sentence
// with the path, where it is missing, a folder, unreadable or empty.
std::string read_bytes(const std::string& path);
// The same for text: DataError as require_utf8 (models/text/utf8.h) too; a byte order mark at the start is dropped.
// Line ends stay as they are: a carriage return is a character like any other.
std::string read_text(const std::string& path);
// The lines of a text, without their ends, which are \n or \r\n; the last one may lack its end. An empty line is a
// line.
std::vector<std::string_view> split_lines(std::string_view text);

}  // namespace gradus
