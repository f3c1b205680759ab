// Characters that a terminal obeys instead of showing them, or that make a reader see another text than there is: the
// one list, for messages, samples, pages and JSON.
#pragma once

namespace gradus {

// C0, DEL and C1.
constexpr bool is_control(char32_t c) { return c < 0x20 || (c >= 0x7F && c < 0xA0); }

// A control character, one that ends a line (U+2028, U+2029), or one of Unicode's Bidi_Control, which turn the
// direction of writing: marks, embeddings and overrides, isolates.
constexpr bool is_order(char32_t c) {
  return is_control(c) || c == 0x061C || c == 0x200E || c == 0x200F || (c >= 0x2028 && c <= 0x202E) ||
         (c >= 0x2066 && c <= 0x2069);
}

}  // namespace gradus
