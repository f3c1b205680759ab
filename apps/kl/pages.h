// The two long pages of `gradus kl`, numbers.txt and lesson.txt: text into which the worked numbers are put. A line is
//
//   # 3  The gradient  [1] §3.2          the heading of a section, and its source at the right edge
//   table 16 .10  0.1 0.5 1              cells of the rows that follow: width, form, and the words that * stands for
//   LABEL :: cell  cell ;; note          a row; two spaces stand between cells, _ is an empty one
//   // ...                               not printed
//
// and any other line is printed as it is. ${NAME:FORM} is a worked number, without :FORM in that of the table;
// ${NAME[2]} one of a list and ${NAME[0-2]} several. As a cell, ${NAME} makes one cell for each number of the list, and
// a name with * one for each word. Forms: 14 significant digits; .10 decimals (twelve digits from 1000 on); .10~4
// decimals, but four digits where the number is below 10^-5, half of the decimals; ±.6 with the sign of a term in a
// sum; short; bar, a block for each 2.5 %. What is below 1e-15 is rounding error and becomes 0.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "apps/kl/worked_example.h"

namespace gradus {

// With this many significant digits, zeros at the end included: 0.14397154729945. 0 is "0".
std::string digits(double value, int significant = 14);

// The page with its numbers, lines of at most 80 characters; all of it or one section. UsageError for a section that
// it has not, ShapeError for a name that is no worked number.
std::string page_text(const char* page, const WorkedNumbers& numbers, std::optional<int64_t> section = {});

}  // namespace gradus
