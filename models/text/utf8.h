// Text in UTF-8: whether it is valid, its characters, its width in a terminal, and a form that is safe to print there.
// The properties of a character come from utf8proc.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gradus {

// The first byte of `text` that is not UTF-8 or is NUL; nothing if there is none. NUL is legal UTF-8 but occurs in no
// text that anybody wrote: it means that the file is something else.
struct BadByte {
  size_t at;         // byte offset, from 0
  std::string what;  // "0xE9, which begins a character of 3 bytes, but there the text ends"
};
std::optional<BadByte> find_bad_byte(std::string_view text);

// DataError if `text` has a bad byte: line, column (in characters), byte offset, the byte and its fault.
// Lines and columns count from 1. A byte order mark at the start is accepted (read_text of models/text/read_text.h
// drops it) and not counted in the column.
// Of the content of a file also its name and, where the bytes look like GB18030, Latin-1 or UTF-16, the iconv line that
// converts it.
void require_utf8(std::string_view text, const std::string& file = "");

// The first code point of `bytes`, which are not none; kNoCharacter, of one byte, where they begin with a byte that is
// part of no code point.
struct Character {
  char32_t code;
  size_t bytes;
};
inline constexpr char32_t kNoCharacter = 0xFFFFFFFF;
Character first_character(std::string_view bytes);

// `bytes` with U+FFFD for whatever is not UTF-8.
std::string valid_utf8(std::string_view bytes);
// How many code points of `text` begin in its bytes [from, to). A byte that is part of none counts as one.
int64_t count_characters(std::string_view text, size_t from = 0, size_t to = std::string_view::npos);
// Length of `bytes` without a character at the end that more bytes could complete.
size_t complete_length(std::string_view bytes);

bool is_white(char32_t c);   // Unicode's White_Space
bool is_letter(char32_t c);  // letters, and their combining marks: categories L and M

// The longest beginning of `text` that takes at most `columns` columns of a terminal: two for a wide character such as
// 猫, one for any other, a combining mark too, so that no text of them is endless. REQUIRES: UTF-8.
std::string_view first_columns(std::string_view text, size_t columns);
// The same of any bytes, for one line of a terminal: harmless, and control characters as spaces.
std::string one_line(std::string_view text, size_t columns);

// What a code point becomes where a terminal would obey it or a reader be deceived by it (is_order of
// engine/io/orders.h): one below a space its sign (␛), any other U+FFFD; a newline and a tab stay.
char32_t visible(char32_t c);
// Any bytes for a terminal, which obeys none of them: what is not UTF-8 as U+FFFD, every character as visible(). A
// carriage return before a newline is left out.
std::string harmless(std::string_view bytes);
// The same for a message: newlines and tabs as signs too, and of more than kLongestMessage bytes the middle left out.
std::string harmless_line(std::string_view bytes);
inline constexpr size_t kLongestMessage = 4096;

std::string hex_byte(char byte);  // "0xE9"
// 'x' (U+0078); what cannot be seen by its escape or number alone, a combining mark on a dotted circle. REQUIRES:
// `character` is one code point in UTF-8.
std::string readable(std::string_view character);

}  // namespace gradus
