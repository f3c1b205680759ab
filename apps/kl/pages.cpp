#include "apps/kl/pages.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <sstream>
#include <vector>

#include "apps/format.h"
#include "engine/error.h"
#include "models/text/utf8.h"

namespace gradus {

namespace {

constexpr int64_t kWidth = 80, kLabel = 24;  // characters of a line, and of its first column at most

std::string trimmed(const std::string& s) { return s.substr(0, s.find_last_not_of(' ') + 1); }

// "a  b c  d" → "a", "b c", "d".
std::vector<std::string> columns(const std::string& s) {
  std::vector<std::string> out;
  for (size_t at = s.find_first_not_of(' '); at != std::string::npos;) {
    const size_t end = s.find("  ", at);
    out.push_back(trimmed(s.substr(at, end - at)));
    at = end == std::string::npos ? end : s.find_first_not_of(' ', end);
  }
  return out;
}

// One number in a form of apps/kl/pages.h.
std::string number_text(double value, std::string form) {
  if (std::fabs(value) < 1e-15) value = 0;  // rounding error
  if (form == "short") return text(value);
  if (form == "bar") {
    std::string s;
    for (int64_t i = 0; i < std::lround(value * 40); ++i) s += "█";
    return s;
  }
  if (form.starts_with("±")) return (value < 0 ? "− " : "+ ") + number_text(std::fabs(value), form.substr(2));
  if (form[0] != '.') return digits(value, std::stoi(form));
  const int decimals = std::stoi(form.substr(1));
  const size_t small = form.find('~');
  if (value == 0) return fixed(0, decimals);
  if (std::fabs(value) >= 1000) return digits(value, 12);
  if (small != std::string::npos && std::fabs(value) < std::pow(10, -decimals / 2))
    return digits(value, std::stoi(form.substr(small + 1)));
  return fixed(value, decimals);
}

class Writer {
 public:
  explicit Writer(const WorkedNumbers& numbers) : numbers_(numbers) {}

  std::string line(const std::string& source) {
    if (source.starts_with("# ")) return heading(columns(source.substr(2)));
    if (const size_t at = source.find(":: "); at != std::string::npos)
      return row(trimmed(source.substr(0, at)), source.substr(at + 3));
    return filled(source);
  }
  void table(const std::string& directive) {
    std::istringstream in(directive);
    words_.clear();
    in >> width_ >> form_;
    for (std::string word; in >> word;) words_.push_back(word);
  }

 private:
  // NUMBER, TITLE and perhaps SOURCE.
  static std::string heading(const std::vector<std::string>& parts) {
    return trimmed(left(parts[0] + "  " + parts[1], 50) + right(parts.size() > 2 ? parts[2] : "", kWidth - 50));
  }

  std::string row(const std::string& label, const std::string& rest) const {
    const size_t note = rest.find(" ;; ");
    std::string cells;
    int64_t n = 0;
    for (const std::string& cell : columns(rest.substr(0, note)))
      for (const std::string& piece : pieces(cell)) cells += right(piece, width_), ++n;
    const int64_t room = std::clamp<int64_t>(kWidth - n * width_, 0, kLabel);
    const std::string name = "   " + label;
    std::string out = left("", room) + cells;
    const int64_t free = std::min<int64_t>(int64_t(out.find_first_not_of(' ')), kWidth) - 1,
                  wide = count_characters(name);
    out = wide <= free ? name + out.substr(size_t(wide)) : name + "\n" + out;  // a label may need a line of its own
    if (note != std::string::npos) out += "   " + filled(rest.substr(note + 4));
    return trimmed(out);
  }

  // What a cell says: several where it is one ${...} that stands for several numbers.
  std::vector<std::string> pieces(const std::string& cell) const {
    if (cell == "_") return {""};
    if (!cell.starts_with("${")) return {cell};
    const size_t star = cell.find('*');
    if (star == std::string::npos) return values(cell);
    std::vector<std::string> out;
    for (const std::string& word : words_) out.push_back(values(std::string(cell).replace(star, 1, word)).at(0));
    return out;
  }

  // Of "${NAME}", "${NAME:FORM}", "${NAME[2]}", "${NAME[0-2]}".
  std::vector<std::string> values(const std::string& reference) const {
    std::string name = reference.substr(2, reference.size() - 3), form = form_;
    if (const size_t colon = name.find(':'); colon != std::string::npos) {
      form = name.substr(colon + 1);
      name.resize(colon);
    }
    const size_t bracket = name.find('[');
    const std::vector<double>& list = numbers_[name.substr(0, bracket)];
    size_t first = 0, last = list.size() - 1;
    if (bracket != std::string::npos) {
      first = last = std::stoul(name.substr(bracket + 1));
      if (const size_t dash = name.find('-', bracket); dash != std::string::npos)
        last = std::stoul(name.substr(dash + 1));
    }
    std::vector<std::string> out;
    for (size_t i = first; i <= last; ++i) out.push_back(number_text(list.at(i), form));
    return out;
  }

  // A text with its numbers.
  std::string filled(std::string s) const {
    for (size_t at = 0; (at = s.find("${", at)) != std::string::npos;) {
      const size_t size = s.find('}', at) + 1 - at;
      s.replace(at, size, values(s.substr(at, size)).at(0));
    }
    return trimmed(s);
  }

  const WorkedNumbers& numbers_;
  int64_t width_ = 0;
  std::string form_;
  std::vector<std::string> words_;
};

}  // namespace

std::string digits(double value, int significant) {
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  if (value == 0) return "0";
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%#.*g", significant, value);
  return buffer;
}

std::string page_text(const char* page, const WorkedNumbers& numbers, std::optional<int64_t> section) {
  Writer writer(numbers);
  std::istringstream in(page);
  std::string out;
  int64_t at = 0;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("# ")) ++at;
    if (line.starts_with("//") || (section && at != *section)) continue;
    if (line.starts_with("table "))
      writer.table(line.substr(6));
    else
      out += writer.line(line) + "\n";
  }
  if (section && (*section < 1 || *section > at))
    throw UsageError(text("--section must be from 1 to ", at, ", not ", *section));
  return out;
}

}  // namespace gradus
