// What the files of `gradus kl` share: text in columns, and its two long pages.
#pragma once

#include <string>

#include "apps/kl/worked_example.h"

namespace gradus {

// Filled up with spaces to this many characters of UTF-8, on the right or on the left.
std::string left(const std::string& text, int width);
std::string right(const std::string& text, int width);
// With this many significant digits, zeros at the end included: 0.14397154729945. Below 1e-15 all is rounding: 0.
std::string digits(double value, int significant = 14);

void print_worked_numbers(const WorkedNumbers& n);  // every number, section by section, beside the documents' figures
void print_kl_lesson(const WorkedNumbers& n);       // example → world → posterior → what fine-tuning will do

}  // namespace gradus
